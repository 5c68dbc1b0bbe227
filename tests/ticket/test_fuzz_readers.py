"""Readers of files from strangers: our own errors or the same ticket, nothing else."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import parse_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fuzzing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_readers", ROOT / "benchmarks" / "fuzz_readers.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_readers"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(fuzzing: ModuleType, tmp_path: Path) -> Path:
    made: Path = fuzzing.tickets()["format-1"].save_pretrained(tmp_path / "ticket")
    return made


@pytest.mark.slow
def test_mutants_of_real_tickets(fuzzing: ModuleType, tmp_path: Path) -> None:
    counts = fuzzing.fuzz(tmp_path, 200, seed=3)
    assert counts["refused"] > 75
    assert counts["statement refused"] > 25  # what is loaded is sound, and what is stated of it is not
    assert counts["noted"] > 5
    assert counts["equal"] > 0


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(fuzzing: ModuleType, tmp_path: Path) -> None:
    whole = fuzzing.fuzz(tmp_path / "a", 40, seed=2)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(fuzzing.fuzz(tmp_path / "b", 15, seed=2)))
    again = fuzzing.fuzz(tmp_path / "c", 40, seed=2, state=state)
    outcomes = ("mutants", "refused", "statement refused", "noted", "equal", "other")
    assert {key: again.get(key) for key in outcomes} == {key: whole.get(key) for key in outcomes}


def test_the_fuzzer_notices_a_wrong_ticket(
    fuzzing: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test of the test: with a reader that checks no digest, wrong weights get through and are reported."""
    from ticketzoo.ticket import files, stored

    monkeypatch.setattr(files, "check_file", lambda folder, name, entry: folder / name)
    monkeypatch.setattr(stored, "_check_digest", lambda *_: None)
    monkeypatch.setattr(fuzzing.Subject, "_verified", lambda _: (False, set()))
    monkeypatch.setattr(fuzzing.Subject, "_read_all", lambda *_: None)
    with pytest.raises(AssertionError, match="a wrong ticket was loaded"):
        fuzzing.fuzz(tmp_path, 5000, seed=2)


@pytest.mark.parametrize(
    ("file", "old", "new", "noticed"),
    [
        ("ticket.json", b'"seeds": 3', b'"seeds": 9', "another verdict"),
        ("results.jsonl", b'"level": 1, "sparsity": 0.5', b'"level": 1, "sparsity": 0.6', "another sparsity, 0.6"),
        ("README.md", b"# format-1", b"# The best", "line '# The best'"),
    ],
)
def test_the_fuzzer_notices_a_forged_statement(
    fuzzing: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: bytes,
    new: bytes,
    noticed: str,
) -> None:
    """With a verify that compares nothing, changed verdicts, sparsities and cards get through and are reported."""
    from ticketzoo.evaluation.backing import Backing
    from ticketzoo.evaluation.card_check import CardCheck
    from ticketzoo.zoo import statements

    subject = fuzzing.Subject(fuzzing.tickets()["format-1"], tmp_path / "format-1")
    assert old in subject.files[file]
    forged = subject.files | {file: subject.files[file].replace(old, new)}
    forged["ticket.json"] = fuzzing.redeclare(forged["ticket.json"], file, forged[file])
    monkeypatch.setattr(fuzzing.Mutator, "mutant", lambda _: ("forged", forged, True))
    assert subject.read(0, 0)[0] in ("noted", "statement refused")
    monkeypatch.setattr(statements, "backing", lambda *_: Backing("rows"))
    monkeypatch.setattr(statements, "row_differences", lambda *_, **__: iter(()))
    monkeypatch.setattr(statements, "check_card", lambda *_, **__: CardCheck((), ()))
    with pytest.raises(AssertionError, match=f"verify did not notice .*{noticed}"):
        subject.read(0, 0)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_as_ticket_json(content: bytes) -> None:
    with pytest.raises(TicketError) as refused:
        parse_config(content, "ticket.json")
    assert "\n" not in str(refused.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_anywhere_in_ticket_json(folder: Path, data: st.DataObject) -> None:
    document = json.loads((folder / "ticket.json").read_text())
    value: Any = document
    while True:
        key = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        if not (isinstance(value[key], dict | list) and value[key] and data.draw(st.booleans())):
            break
        value = value[key]
    value[key] = data.draw(JSON)
    try:
        parse_config(json.dumps(document).encode(), "ticket.json")
    except TicketError as error:
        assert "\n" not in str(error) and "\x1b" not in str(error)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), name=st.sampled_from(["masks", "rewind"]))
def test_any_bytes_as_tensors(fuzzing: ModuleType, folder: Path, content: bytes, name: str) -> None:
    from ticketzoo.ticket import Ticket

    path, config = folder / "seed-0" / f"{name}.safetensors", folder / "ticket.json"
    before = path.read_bytes(), config.read_bytes()
    path.write_bytes(content)
    config.write_bytes(fuzzing.redeclare(before[1], f"seed-0/{name}.safetensors", content))
    try:
        with pytest.raises(TicketError):
            _ = Ticket.from_pretrained(folder).rewind_state
    finally:
        path.write_bytes(before[0])
        config.write_bytes(before[1])
