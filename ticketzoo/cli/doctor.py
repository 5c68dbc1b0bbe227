from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    """Add the command `doctor`."""
    app.command()(doctor)


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the Hub.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show versions, devices, caches and the Hub as they are seen from here, for a report of a fault.

    No token is shown, and nothing of what is in a ticket. Exit status 0, whatever is found.

    Examples:

        ticketzoo doctor

        ticketzoo doctor --offline --json
    """
    from ticketzoo.api.doctor import diagnose
    from ticketzoo.cli.output import print_json
    from ticketzoo.util.text import for_terminal

    sections = diagnose(ask_hub=not offline)
    if as_json:
        print_json(sections)
        return
    for name, found in sections.items():
        print(name)
        for key, value in found.items():
            print(f"  {key}: {for_terminal(value)}")
