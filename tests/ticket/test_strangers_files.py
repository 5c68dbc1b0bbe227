"""Files that no tool writes: refused in one line, and neither a traceback nor masks made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_importers import STATE, adapter, flat

from ticketzoo import Ticket
from ticketzoo.errors import TicketError

FLAT = flat("supertuning_values", "supertuning_indices")
PATCH = {"0.weight.idx": torch.tensor([0, 5]), "0.weight.val": torch.ones(2)}


def refused(path: Path, says: str, **options: Any) -> None:
    with pytest.raises(TicketError, match=says) as caught:
        Ticket.from_file(path, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    save_file(STATE, tmp_path / "base.safetensors")
    return tmp_path / "base.safetensors"


def test_a_dict_that_holds_itself(tmp_path: Path) -> None:
    endless: dict[str, Any] = {"a.weight": torch.ones(2, 2)}
    endless["again"] = endless
    torch.save(endless, tmp_path / "endless.pth")
    refused(tmp_path / "endless.pth", "endless.pth: its dicts are too deep or too many")


def test_dicts_that_double(tmp_path: Path) -> None:
    doubling: dict[str, Any] = {"a.weight": torch.ones(2, 2)}
    for _ in range(60):
        doubling = {"a": doubling, "b": doubling}
    torch.save(doubling, tmp_path / "doubling.pth")
    refused(tmp_path / "doubling.pth", "doubling.pth: its dicts are too deep or too many")


def test_an_archive_whose_sizes_cannot_be_told(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "new.pth")
    content = bytearray((tmp_path / "new.pth").read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99  # the version of zip that is needed
    (tmp_path / "new.pth").write_bytes(content)
    refused(tmp_path / "new.pth", "new.pth: cannot be read as a .pth: zip file version 9.9")


@pytest.mark.parametrize("shape", [(), (2, 4), (1, 8)])
def test_flat_indices_of_another_shape(tmp_path: Path, base: Path, shape: tuple[int, ...]) -> None:
    name = next(name for name in FLAT if "indices" in name)
    odd = FLAT | {name: torch.zeros(shape, dtype=torch.int64)}
    refused(adapter(tmp_path / "odd", "SUPERTUNING", odd), r"the indices of '\w' have shape .*, not \(n,\)", base=base)


def test_a_whole_tensor_of_an_update_is_of_the_shape_of_the_base(tmp_path: Path, base: Path) -> None:
    save_file(PATCH | {"0.bias": torch.ones(2)}, tmp_path / "short.safetensors")
    refused(tmp_path / "short.safetensors", r"'0.bias' has shape \(2,\), and \(4,\) in the base", base=base)
    save_file(PATCH | {"0.bias": torch.ones(4)}, tmp_path / "whole.safetensors")
    ticket = Ticket.from_file(tmp_path / "whole.safetensors", base=base)
    assert {name: int(mask.sum()) for name, mask in ticket.masks.items()} == {"0.weight": 2, "0.bias": 4}


def test_indices_that_are_no_whole_numbers(tmp_path: Path, base: Path) -> None:
    save_file(PATCH | {"0.weight.idx": torch.tensor([0.5, 5.0])}, tmp_path / "half.safetensors")
    refused(tmp_path / "half.safetensors", "the indices of '0.weight' are torch.float32", base=base)


def test_bits_that_are_floats(tmp_path: Path, base: Path) -> None:
    save_file({"task": torch.zeros(4)}, tmp_path / "bits.safetensors")
    refused(tmp_path / "bits.safetensors", "'task' is no string of bits", base=base, format="tall")


def test_scores_that_are_nan(tmp_path: Path) -> None:
    scores = torch.rand(4, 3)
    scores[1, 1] = float("nan")
    save_file(STATE | {"0.scores": scores}, tmp_path / "scores.safetensors")
    refused(tmp_path / "scores.safetensors", "the scores of '0.weight' hold NaN", keep=0.5)


def test_arrays_in_the_byte_order_of_another_machine(tmp_path: Path) -> None:
    swapped = np.ones((2, 2), dtype=np.dtype(np.uint16).newbyteorder("S"))
    torch.save({"a.weight": torch.zeros(2, 2), "b": swapped}, tmp_path / "swapped.pth")
    refused(tmp_path / "swapped.pth", "swapped.pth: ")
