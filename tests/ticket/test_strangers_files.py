"""Files that no tool writes: refused in one line, and neither a traceback nor masks made of them."""

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_importers import STATE, adapter, flat

from ticketzoo import Ticket
from ticketzoo.bridges.pth import read_pth
from ticketzoo.bridges.pth_records import check_records
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


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the pickle in an archive of `torch.save`; its records stay."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, one in content.items():
            archive.writestr(name, change(one) if name.endswith("data.pkl") else one)


def test_tensors_that_claim_more_than_their_record_holds(tmp_path: Path) -> None:
    """Whatever torch does: 4 floats of 16 bytes that are said to be 200; in an old file, of 1,000 all the bytes."""
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "more.pth")
    four, many = b"K\x04tq", b"K\xc8tq"  # BININT1 4, the end of the tuple
    rewritten(tmp_path / "more.pth", lambda content: content.replace(four, many, 1))
    with pytest.raises(TicketError, match=r"a tensor needs 800 bytes, and its record '0' has 16 bytes$"):
        check_records(zipfile.ZipFile(tmp_path / "more.pth"), "more.pth")
    refused(tmp_path / "more.pth", "more.pth: a tensor needs 800 bytes, and its record '0' has 16 bytes")

    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "gone.pth")
    rewritten(tmp_path / "gone.pth", lambda content: content.replace(b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x007", 1))
    refused(tmp_path / "gone.pth", "gone.pth: a tensor needs 16 bytes, and its record '7' is missing")

    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "old.pth").read_bytes()
    place = content.index(b"cpu") + len(b"cpu")
    place = content.index(b"K\x04", place)
    (tmp_path / "old.pth").write_bytes(content[:place] + b"J" + (10**9).to_bytes(4, "little") + content[place + 2 :])
    refused(tmp_path / "old.pth", "old.pth: its tensors need 4000000000 bytes, and the file has")


def pickled(path: Path, item: bytes) -> Path:
    """Write an archive as `torch.save` does, of a dict with one item: a key and a value as opcodes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}" + item + b"s.")
        archive.writestr("a/version", "3\n")
        archive.writestr("a/byteorder", "little")
    return path


def test_a_few_bytes_take_no_memory_by_what_they_say(tmp_path: Path) -> None:
    """The memo at place ten million, and a bytearray of ten million zeros."""
    many = (10**7).to_bytes(4, "little")
    memo = pickled(tmp_path / "memo.pth", b"X\x01\x00\x00\x00ar" + many + b"K\x01")
    zeros = pickled(tmp_path / "zeros.pth", b"X\x01\x00\x00\x00acbuiltins\nbytearray\nJ" + many + b"\x85R")
    tracemalloc.start()
    try:
        read_pth(memo, "memo.pth")
        with pytest.raises(TicketError, match=r"zeros\.pth: cannot be read as a \.pth: a bytearray of a stated size"):
            read_pth(zeros, "zeros.pth")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_tensors_of_every_kind_are_read(tmp_path: Path) -> None:
    floats = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64]
    kinds = [*floats, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    state = {str(kind): torch.zeros(3).to(kind) for kind in kinds} | {
        "part": torch.zeros(9)[2:4],
        "none": torch.zeros(0),
    }
    for new in (True, False):
        torch.save({"state_dict": state}, tmp_path / "kinds.pth", _use_new_zipfile_serialization=new)
        assert list(read_pth(tmp_path / "kinds.pth", "kinds.pth")[0]) == [f"state_dict/{name}" for name in state]
    torch.save({"a": torch.zeros(3).to(torch.float8_e4m3fn)}, tmp_path / "new.pth")
    assert list(read_pth(tmp_path / "new.pth", "new.pth")[0]) == ["a"]
    torch.save(
        {"a": torch.zeros(3).to(torch.float8_e4m3fn)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False
    )
    refused(tmp_path / "old.pth", "old.pth: cannot be read as a .pth: ")
