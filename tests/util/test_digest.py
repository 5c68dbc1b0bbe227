"""Digests of functions and objects: what changes a number changes the digest, and nothing else does."""

import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ticketzoo.util.digest import digest_of

SCALE = 2.0


def times(by: float) -> Callable[[float], float]:
    return lambda x: by * x


def named(x: float) -> float:
    return SCALE * x


DIFFERENT: list[tuple[Any, Any]] = [
    (lambda x: x + 1, lambda x: x + 2),
    (times(1.0), times(2.0)),
    (partial(max, 1), partial(max, 2)),
    (partial(max, 1), partial(min, 1)),
    (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1)),
    (nn.CrossEntropyLoss(weight=torch.ones(2)), nn.CrossEntropyLoss(weight=torch.zeros(2))),
    (torch.ones(2), torch.ones(2, 1)),
    (np.ones(2), np.zeros(2)),
    (1, True),
    ((b"ab", b"c"), (b"a", b"bc")),
    (nn.functional.l1_loss, nn.functional.mse_loss),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_another_content_is_another_digest(one: Any, other: Any) -> None:
    assert digest_of(one) == digest_of(one) is not None
    assert digest_of(one) != digest_of(other) is not None


def test_made_alike_is_the_same() -> None:
    assert digest_of(times(3.0)) == digest_of(times(3.0))
    assert digest_of(nn.MSELoss()) == digest_of(nn.MSELoss())


def test_a_global_that_a_function_names_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(named)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert digest_of(named) != before


def test_a_lock_has_no_content_wherever_it_is() -> None:
    assert digest_of({"lock": [threading.Lock()]}) is None


@pytest.mark.slow
def test_it_is_the_same_in_every_process() -> None:
    code = "from ticketzoo.util.digest import digest_of; print(digest_of(lambda x: x in {'a', 'b', 'c', 'd'}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(found) == 1
