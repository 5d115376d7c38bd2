"""The command line from a checkout: `python cli.py …`."""

from gep.cli import main

main()
