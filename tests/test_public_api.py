"""The names that programs may rely on: a change here is a change of the version."""

import inspect
import subprocess
import sys

import pytest

import ticketzoo

NAMES = [
    "Ticket",
    "TicketCallback",
    "TicketzooError",
    "check",
    "compare",
    "create_model",
    "find",
    "judge",
    "load_ticket",
    "plot",
    "pull",
    "push",
    "search",
    "stability",
    "table",
    "transfer",
    "verify",
]


def test_these_are_the_public_names() -> None:
    assert ticketzoo.__all__ == NAMES
    assert set(NAMES) <= set(dir(ticketzoo))


@pytest.mark.parametrize("name", NAMES)
def test_each_is_typed_and_documented(name: str) -> None:
    public = getattr(ticketzoo, name)
    assert inspect.getdoc(public)
    if not inspect.isfunction(public):
        return
    signature = inspect.signature(public)
    assert signature.return_annotation is not inspect.Signature.empty
    described = inspect.getdoc(public) or ""
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter.name
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            assert f"{parameter.name}:" in described, parameter.name


@pytest.mark.slow
def test_no_room_hides_a_name() -> None:
    """A room that is imported becomes an attribute of the package: it must not be called as a function is."""
    code = (
        "import importlib, pathlib, ticketzoo\n"
        "for path in pathlib.Path(ticketzoo.__file__).parent.glob('*/__init__.py'):\n"
        "    importlib.import_module(f'ticketzoo.{path.parent.name}')\n"
        "import types\n"
        "assert not [name for name in ticketzoo.__all__ if isinstance(getattr(ticketzoo, name), types.ModuleType)]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ticketzoo' has no attribute 'serch'"):
        ticketzoo.serch  # noqa: B018
