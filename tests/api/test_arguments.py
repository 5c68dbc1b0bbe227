"""Arguments of wrong types are refused by every public function, in one line that names function and argument."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from torch import nn
from toy_ticket import toy_ticket

import ticketzoo
from ticketzoo import Ticket, TicketCallback
from ticketzoo.errors import ArgumentError
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.util.arguments import checked

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(ticketzoo, name) for name in ticketzoo.__all__ if not isinstance(getattr(ticketzoo, name), type)},
    **{f"Ticket.{name}": getattr(Ticket, name) for name in ("from_pretrained", "create", "remove", "reapply")},
    "TicketCallback": TicketCallback,
}
METHODS = ("build", "apply", "at", "read_file", "save_pretrained", "push_to_hub")
REQUIRED: dict[str, Any] = {
    "recipe": "quickstart",
    "reference": "./nowhere",
    "repo_id": "owner/name",
    "repo_id_or_folder": "./nowhere",
    "name": "lenet-300-100",
    "folder": "nowhere",
    "ticket": "nowhere",
    "measured": (),
    "task": "toy",
    "seed": 0,
    "architecture": {},
    "source": {},
    "pruning": {},
    "replicates": (),
    "model": nn.Linear(1, 1),
}


@pytest.fixture(scope="module")
def ticket() -> Ticket:
    return toy_ticket()


def typed_arguments(function: Callable[..., Any]) -> list[str]:
    given = inspect.signature(function).parameters.values()
    return [one.name for one in given if one.name != "self" and one.kind is not one.VAR_KEYWORD]


CALLS = [(name, argument) for name, function in FUNCTIONS.items() for argument in typed_arguments(function)]
CALLS += [(f".{name}", argument) for name in METHODS for argument in typed_arguments(getattr(Ticket, name))]


FUNCTIONS_TAKEN = [("find", "model"), ("find", "evaluate"), ("find", "loss")]
FUNCTIONS_TAKEN += [(name, "rename") for name, argument in CALLS if argument == "rename"]
REFUSED = [(*call, object()) for call in CALLS] + [(*call, nn.Linear) for call in CALLS if call not in FUNCTIONS_TAKEN]


@pytest.mark.parametrize(("name", "argument", "wrong"), REFUSED)
def test_every_argument_of_a_wrong_type_is_named(ticket: Ticket, name: str, argument: str, wrong: object) -> None:
    function = getattr(ticket, name[1:]) if name.startswith(".") else FUNCTIONS[name]
    parameters = inspect.signature(function).parameters
    listed = [key for key, one in parameters.items() if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    needed = {key for key, one in parameters.items() if one.default is one.empty and key not in listed}
    arguments = {key: ticket if name == "TicketCallback" else REQUIRED[key] for key in needed}
    with pytest.raises(ArgumentError) as refused:
        function(wrong) if argument in listed else function(**arguments | {argument: wrong})
    line = str(refused.value)
    assert line.startswith(f"{name.rpartition('.')[2]}: ") or line.split(": ")[0].endswith(name.lstrip("."))
    assert f"{argument}: give " in line
    assert "\n" not in line
    assert isinstance(refused.value, TypeError)


@checked
def example(
    level: int | None = None,
    sparsity: float = 0.5,
    deep: bool = True,
    until: Literal["decided"] | None = None,
    at: str | Path = "x",
    seeds: Sequence[int] = (),
    rows: Iterable[Mapping[str, Any]] = (),
    renamed: Mapping[str, str] | Callable[[str], str] | None = None,
    progress: bool | Progress = True,
    **others: int,
) -> str:
    return "done"


class WithoutSay:
    """A listener that lacks a method, `say`, of those that a run calls."""

    planned = step = finished = evaluated = warn = print

    def __repr__(self) -> str:
        return "WithoutSay()"


RIGHT: dict[str, list[Any]] = {
    "level": [None, 2, np.int64(2)],
    "sparsity": [1, 0.5, np.float32(0.5)],
    "at": ["x", Path("x")],
    "until": ["decided", None],
    "seeds": [[0, 1], (0,), range(3), {1, 2}, np.array([1, 2]), []],
    "rows": [[{"a": 1}], iter([3]), ()],
    "renamed": [{"a": "b"}, str.lower, None],
    "progress": [False, Quiet()],
    "others": ["whatever"],
}
OTHER, EACH, SHOW = "a whole number", "a list: each item", "True or False or a Progress"
WRONG: dict[str, list[tuple[Any, str]]] = {
    "level": [
        (2.0, f"{OTHER}, not 2.0: write 2"),
        (2.5, f"{OTHER}, not 2.5"),
        (True, f"{OTHER}, not True"),
        ("2", f"{OTHER}, not '2'"),
    ],
    "sparsity": [("0.9", "a number, not '0.9'"), (None, "a number, not None")],
    "deep": [(1, "True or False, not 1")],
    "until": [("soon", "'decided', not 'soon'")],
    "at": [(3, "text or a Path, not 3")],
    "seeds": [(3, f"{EACH} {OTHER}, not 3"), ([0, "1"], f"{EACH} {OTHER}, not [0, '1']")],
    "rows": [({"a": 1}, f"{EACH} keys and values, not {{'a': 1}}"), ([3], f"{EACH} keys and values, not [3]")],
    "renamed": [({"a": 1}, "keys and values or a function, not {'a': 1}")],
    "progress": [
        ("yes", f"{SHOW}, not 'yes'"),
        (nn.Linear, f"{SHOW}, not the class Linear"),
        (WithoutSay(), f"{SHOW}, not WithoutSay()"),
    ],
}


@pytest.mark.parametrize(("argument", "value"), [(key, value) for key, values in RIGHT.items() for value in values])
def test_what_fits_is_let_through(argument: str, value: Any) -> None:
    assert example(**{argument: value}) == "done"


@pytest.mark.parametrize(("argument", "value", "said"), [(key, *one) for key, ones in WRONG.items() for one in ones])
def test_what_does_not_fit_is_said_with_what_would(argument: str, value: Any, said: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        example(**{argument: value})
    assert str(refused.value) == f"example: {argument}: give {said}"


def test_too_many_arguments_are_said_as_ever() -> None:
    with pytest.raises(TypeError, match=r"example\(\) takes from 0 to 9 positional arguments but 10 were given"):
        example(*range(10))
