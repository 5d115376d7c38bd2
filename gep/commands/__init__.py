"""The commands, by what they work on: parse, call one function, print. Each module lists its own in `COMMANDS`."""
