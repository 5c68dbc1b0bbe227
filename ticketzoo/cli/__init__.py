"""The `ticketzoo` command: thin commands that parse, call the library, and print."""

from ticketzoo.cli.main import main as main
