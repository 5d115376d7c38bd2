"""`python -m gep`: the command line."""

from gep.cli import main

main()
