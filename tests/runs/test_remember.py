"""Work that is no training: tensors and rows, computed once, whatever happens meanwhile."""

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from launched import PRELOADED, results_of
from made_cells import cells_in, files_in, job
from system_limits import at_most
from torch import Tensor

from ticketzoo.errors import RunError
from ticketzoo.models.state import State

SPECIFICATION = {"architecture": {"name": "lenet-300-100"}, "batches": 2}


class Counted:
    """Gives one and the same state, and counts how often it is asked."""

    def __init__(self, state: State | None = None) -> None:
        self.state = {"fc1.weight": torch.tensor([[1.0, -2.0], [0.5, 0.0]])} if state is None else state
        self.calls = 0

    def __call__(self) -> State:
        self.calls += 1
        return self.state


def equal(one: State, other: State) -> bool:
    same = one.keys() == other.keys()
    return same and all(t.dtype == other[name].dtype and torch.equal(t, other[name]) for name, t in one.items())


def test_tensors_are_computed_once_for_a_kind_and_a_specification(tmp_path: Path) -> None:
    gradients, again, other_kind, other_batches = Counted(), Counted(), Counted(), Counted()
    with cells_in(tmp_path) as store:
        assert equal(store.remember("gradients", SPECIFICATION, gradients), gradients.state)
        assert equal(store.remember("gradients", dict(reversed(SPECIFICATION.items())), again), gradients.state)
    with cells_in(tmp_path) as store:
        assert equal(store.remember("gradients", SPECIFICATION, again), gradients.state)
        store.remember("input-norms", SPECIFICATION, other_kind)
        store.remember("gradients", SPECIFICATION | {"batches": 3}, other_batches)
    assert [made.calls for made in (gradients, again, other_kind, other_batches)] == [1, 0, 1, 1]
    assert [Path(name).name for name in files_in(tmp_path)].count("gradients.safetensors") == 2
    assert len(list(tmp_path.glob("*/"))) == 2  # two specifications


NAMES = st.text("ab", min_size=1, max_size=2)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.5, "", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=30)
@given(asked=st.lists(st.dictionaries(NAMES, JSON, max_size=2), max_size=5))
def test_each_specification_is_computed_once_however_often_it_is_asked_for(
    asked: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, computed = tmp_path_factory.mktemp("store"), []
    for _ in range(2):
        with cells_in(folder) as store:
            for specification in asked:
                text = json.dumps(specification, sort_keys=True)

                def compute(text: str = text) -> State:
                    computed.append(text)
                    return {"text": torch.tensor(list(text.encode()))}

                kept = store.remember("scores", dict(reversed(specification.items())), compute)
                assert bytes(kept["text"].tolist()).decode() == text
    assert sorted(computed) == sorted({json.dumps(one, sort_keys=True) for one in asked})


DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool)


@settings(max_examples=30)
@given(
    shapes=st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=4),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9),
)
def test_any_tensors_come_back_as_they_were(
    shapes: list[list[int]], dtype: torch.dtype, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    generator = torch.Generator().manual_seed(seed)
    state = {f"layer{i}": (4 * torch.randn(shape, generator=generator)).to(dtype) for i, shape in enumerate(shapes)}
    compute = Counted(state)
    with cells_in(tmp_path_factory.mktemp("store")) as store:
        assert equal(store.remember("scores", {"shapes": shapes}, compute), state)
        assert equal(store.remember("scores", {"shapes": shapes}, compute), state)
    assert compute.calls == 1


def test_views_and_tensors_that_share_memory_or_need_gradients_come_back_apart(tmp_path: Path) -> None:
    flat = torch.arange(6.0, requires_grad=True)
    state = {"a": flat[:4].view(2, 2), "b": flat[2:], "turned": flat.view(2, 3).T, "same": flat, "one": flat[5]}
    with cells_in(tmp_path) as store:
        kept = store.remember("scores", {}, lambda: state)
    assert equal(kept, {name: tensor.detach() for name, tensor in state.items()})
    assert not any(tensor.requires_grad for tensor in kept.values())
    kept["a"][0, 0] = 9
    assert flat[0] == kept["same"][0] == 0


def test_a_computation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> State:
        raise RunError("no")

    compute = Counted()
    with cells_in(tmp_path) as store:
        with pytest.raises(RunError, match=r"^no$"):
            store.remember("gradients", SPECIFICATION, fails)
        assert files_in(tmp_path) == []
        store.remember("gradients", SPECIFICATION, compute)
    assert compute.calls == 1


@pytest.mark.parametrize("kind", ["", "Gradients", "../gradients", "a/b", "a.b", "gradients\n"])
def test_a_kind_is_a_file_s_name(tmp_path: Path, kind: str) -> None:
    with cells_in(tmp_path) as store, pytest.raises(RunError, match=r"use lower-case letters, digits and hyphens$"):
        store.remember(kind, SPECIFICATION, Counted())


def test_a_full_disk_is_said_in_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with cells_in(tmp_path) as store:
        with (
            at_most(100, resource.RLIMIT_FSIZE),
            pytest.raises(RunError, match=r"cannot be written \(File too large\); free space and run again$"),
        ):
            store.remember("gradients", SPECIFICATION, Counted())
        with at_most(100, resource.RLIMIT_FSIZE), pytest.raises(RunError, match="File too large"):
            store.remember_rows("line", SPECIFICATION, Measured, Rows(), count=2)
        assert files_in(tmp_path) == []
        assert store.remember_rows("line", SPECIFICATION, Measured, Rows(), count=2)[1]
        compute = Counted()
        assert equal(store.remember("gradients", SPECIFICATION, compute), compute.state)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: b"", "cannot be read"),
        (lambda content: content[:-3], "cannot be read"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "damaged since it was written"),
    ],
)
def test_damaged_tensors_are_said_with_what_to_do(tmp_path: Path, damage: Callable[[bytes], bytes], said: str) -> None:
    with cells_in(tmp_path) as store:
        store.remember("gradients", SPECIFICATION, Counted())
        (path,) = tmp_path.glob("*/gradients.safetensors")
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(
            RunError, match=f"gradients.safetensors: {said}.*; delete {path.parent.name} and run again$"
        ):
            store.remember("gradients", SPECIFICATION, Counted())


class Measured(NamedTuple):
    at: float
    error: float


class Rows:
    """Rows n, n squared; `crash_at` one of them it crashes."""

    def __init__(self, crash_at: int | None = None) -> None:
        self.crash_at = crash_at
        self.computed: list[int] = []

    def __call__(self, number: int) -> Measured:
        if number == self.crash_at:
            raise KeyboardInterrupt
        self.computed.append(number)
        return Measured(number, number**2)


def test_rows_go_on_from_the_first_that_is_missing(tmp_path: Path) -> None:
    crashing, rest, none = Rows(crash_at=2), Rows(), Rows()
    expected = [Measured(0, 0), Measured(1, 1), Measured(2, 4), Measured(3, 9)]
    with pytest.raises(KeyboardInterrupt), cells_in(tmp_path) as store:
        store.remember_rows("line", SPECIFICATION, Measured, crashing, count=4)
    with cells_in(tmp_path) as store:
        assert store.remember_rows("line", SPECIFICATION, Measured, rest, count=4) == (expected, True)
        assert store.remember_rows("line", SPECIFICATION, Measured, none, count=4) == (expected, False)
    assert (crashing.computed, rest.computed, none.computed) == ([0, 1], [2, 3], [])
    (path,) = tmp_path.glob("*/line.json")
    content = json.loads(path.read_text())
    assert list(content) == ["specification", "rows", "environment"]
    assert content["specification"] == SPECIFICATION
    assert content["rows"][3] == {"at": 3, "error": 9}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"rows": 3}', '{"rows": [3]}', '{"rows": [{"at": 1}]}'])
def test_damaged_rows_are_said_with_what_to_do(tmp_path: Path, content: str) -> None:
    with cells_in(tmp_path) as store:
        store.remember_rows("line", SPECIFICATION, Measured, Rows(), count=2)
        (path,) = tmp_path.glob("*/line.json")
        path.write_text(content)
        with pytest.raises(RunError, match=f"line.json: cannot be read; delete {path.parent.name} and run again$"):
            store.remember_rows("line", SPECIFICATION, Measured, Rows(), count=2)


def test_a_training_with_the_same_specification_lives_beside_what_is_remembered(tmp_path: Path) -> None:
    compute = Counted()
    with cells_in(tmp_path) as store:
        store.remember("scores", job().specification(), compute)
        cell = store.run(job(), "trained after", keep_final=True)
        store.remember("scores", job().specification(), compute)
    assert sorted(path.name for path in cell.folder.iterdir()) == [
        "cell.json", "final.safetensors", "scores.safetensors"
    ]  # fmt: skip
    assert compute.calls == 1


BIG = 500_000
"""Numbers that take some milliseconds to write."""


def remember_much(folder: Path) -> None:
    with cells_in(folder) as store:
        for number in range(1000):
            store.remember("scores", {"number": number}, lambda: {"w": torch.full((BIG,), 1.5)})


@pytest.mark.slow
def test_kill_minus_9_in_the_middle_leaves_nothing_half(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    for after in (0.0, 0.003, 0.01):
        before = len(list(tmp_path.glob("*/*.safetensors")))
        process = context.Process(target=remember_much, args=(tmp_path,))
        process.start()
        while len(list(tmp_path.glob("*/*.safetensors"))) < before + 2:
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(after)
        process.kill()
        process.join()
    finished = len(list(tmp_path.glob("*/*.safetensors")))
    calls = []
    with cells_in(tmp_path) as store:

        def compute() -> State:
            calls.append(1)
            return {"w": torch.full((BIG,), 1.5)}

        for number in range(finished + 1):
            assert store.remember("scores", {"number": number}, compute)["w"].eq(1.5).all()
    assert len(calls) == 1


def remembered_by_two(folder: str) -> Any:
    """Return what each of two processes that train together gets, and how often each computed."""
    from ticketzoo.distributed import processes

    calls: list[int] = []

    def compute() -> dict[str, Tensor]:
        calls.append(1)
        return {"w": torch.tensor([float(processes.rank())])}

    with cells_in(Path(folder)) as store:
        first = store.remember("scores", SPECIFICATION, compute)
        second = store.remember("scores", SPECIFICATION, compute)
        rows, _ = store.remember_rows("line", SPECIFICATION, Measured, lambda n: Measured(n, processes.rank()), count=2)
        try:
            store.remember("scores", {"rank": processes.rank()}, compute)
            error = ""
        except RunError as differs:
            error = str(differs)
    return [first["w"].tolist(), second["w"].tolist(), rows, len(calls), error]


@pytest.mark.slow
def test_two_processes_share_what_the_first_wrote(tmp_path: Path) -> None:
    found, other = results_of(2, remembered_by_two, tmp_path, str(tmp_path / "store"))
    assert found == other
    assert found[:4] == [[0.0], [0.0], [[0, 0], [1, 0]], 1]
    assert "process 1 differs from process 0 in what to compute as scores: rank (1, not 0)" in found[4]
    assert len(list((tmp_path / "store").glob("*/scores.safetensors"))) == 1
