"""The entry of the command line, which imports little before Ctrl-C is looked after."""

from typing import NoReturn

from ticketzoo.util.signals import raise_when_interrupted


def main() -> NoReturn:
    """Run the command line and exit."""
    raise_when_interrupted()
    from ticketzoo.cli import main as run

    run()


if __name__ == "__main__":
    main()
