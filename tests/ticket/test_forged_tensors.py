"""Files with the size and digest that ticket.json states, but other tensors: one line that names the tensor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from toy_ticket import MASKS, REWIND, assert_refused, edit_config, forge, forge_tensors

from ticketzoo.errors import TicketError
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import mask_sha256_of


def change_tensor(name: str, key: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        def edit(tensors: dict[str, torch.Tensor]) -> None:
            tensors[key] = change(tensors[key]).contiguous()

        forge_tensors(folder, name, edit)

    return damage


def drop_tensor(name: str, key: str) -> Callable[[Path], None]:
    return lambda folder: forge_tensors(folder, name, lambda tensors: tensors.pop(key))


def add_tensor(name: str, key: str, tensor: torch.Tensor) -> Callable[[Path], None]:
    return lambda folder: forge_tensors(folder, name, lambda tensors: tensors.update({key: tensor}))


def bits(*values: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda _: torch.tensor(values, dtype=torch.uint8)


def encoded_as(text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / MASKS).read_bytes()
        forge(folder, MASKS, content.replace(b"survivor-bits", text.encode(), 1))

    return damage


def with_header(length: int) -> Callable[[Path], None]:
    return lambda folder: forge(folder, MASKS, length.to_bytes(8, "little") + (folder / MASKS).read_bytes()[8:])


FORGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty file": (lambda f: forge(f, MASKS, b""), "not a safetensors file: 0 bytes cannot hold a header of 0"),
    "no safetensors": (lambda f: forge(f, MASKS, b"x" * 100), "not a safetensors file: 100 bytes cannot hold a header"),
    "header beyond the file": (with_header(2**62), "bytes cannot hold a header of 4611686018427387904"),
    "header cut": (with_header(17), r"masks\.safetensors: cannot be read: .*"),
    "mask tensor missing": (
        drop_tensor(MASKS, "level-2/fc2.weight"),
        r"masks\.safetensors: has no tensor 'level-2/fc2\.weight'",
    ),
    "mask tensor too many": (
        add_tensor(MASKS, "level-3/fc2.weight", torch.zeros(1, dtype=torch.uint8)),
        r"has tensor 'level-3/fc2\.weight', which ticket\.json does not declare",
    ),
    "path as tensor name": (
        add_tensor(MASKS, "../../evil\x1b[2J", torch.zeros(1, dtype=torch.uint8)),
        r"has tensor '\.\./\.\./evil.\[2J', which ticket\.json does not declare",
    ),
    "mask too long": (
        change_tensor(MASKS, "level-2/fc1.weight", bits(0x7D, 0)),
        r"'level-2/fc1\.weight' is U8 of shape \(2,\), but survivor-bits of this mask need uint8 of shape \(1,\)",
    ),
    "mask of another dtype": (
        change_tensor(MASKS, "level-2/fc1.weight", lambda t: t.to(torch.int8)),
        r"'level-2/fc1\.weight' is I8 of shape \(1,\)",
    ),
    "mask of two dimensions": (
        change_tensor(MASKS, "level-1/fc1.weight", lambda t: t.view(1, 2)),
        r"'level-1/fc1\.weight' is U8 of shape \(1, 2\)",
    ),
    "padding set": (
        change_tensor(MASKS, "level-4/fc1.weight", bits(0x1D | 0x40)),
        r"'level-4/fc1\.weight' has bits set beyond its 6 weights",
    ),
    "another count": (
        change_tensor(MASKS, "level-4/fc1.weight", bits(0x0D)),
        r"level 4 keeps 4 weights, but ticket\.json says 5",
    ),
    # Masks choose among the survivors of the level before, so keeping any other weight takes more bits than there are.
    "masks not nested": (
        change_tensor(MASKS, "level-4/fc1.weight", bits(0x1D, 0x03)),
        r"'level-4/fc1\.weight' is U8 of shape \(2,\), but survivor-bits of this mask need uint8 of shape \(1,\)",
    ),
    "same count, other bits": (
        change_tensor(MASKS, "level-4/fc1.weight", bits(0x1E)),
        r"masks\.safetensors: the masks have digest \w{64}, but ticket\.json says \w{64}",
    ),
    "encoding of tomorrow": (
        encoded_as("entropy-coded"),
        r"'level-1/fc1\.weight' is encoded as 'entropy-coded', which this ticketzoo cannot read: upgrade",
    ),
    "no encoding": (
        lambda f: forge(f, MASKS, save({"a": torch.zeros(1)})),
        r"masks\.safetensors: has no tensor 'level-1/fc1\.weight', .*, 'level-4/fc1\.weight' and more",
    ),
    "rewind tensor missing": (drop_tensor(REWIND, "fc2.weight"), r"rewind\.safetensors: has no tensor 'fc2\.weight'"),
    "rewind of another count": (
        change_tensor(REWIND, "fc1.weight", lambda t: t[:-1]),
        r"'fc1\.weight' has shape \(7,\), but its mask at level 1 keeps 8 weights, so it should have shape \(8,\)",
    ),
    "rewind dense": (
        change_tensor(REWIND, "fc1.weight", lambda t: t.view(2, 4)),
        r"'fc1\.weight' has shape \(2, 4\), but its mask at level 1 keeps 8 weights",
    ),
    "rewind of integers": (
        change_tensor(REWIND, "fc1.weight", lambda t: t.to(torch.int64)),
        r"'fc1\.weight' has dtype torch\.int64, which a ticket cannot hold",
    ),
    "rewind of a strange dtype": (
        change_tensor(REWIND, "fc2.bias", lambda t: t.to(torch.float8_e4m3fn)),
        r"'fc2\.bias' has dtype F8_E4M3, which a ticket cannot hold",
    ),
    "rewind with a name without end": (
        add_tensor(REWIND, "a" * 513, torch.zeros(1)),
        r"rewind\.safetensors: 'a{200}' is not the name of a parameter or buffer",
    ),
    "rewind with a path for a name": (
        add_tensor(REWIND, "../fc9", torch.zeros(1)),
        r"rewind\.safetensors: '\.\./fc9' is not the name of a parameter or buffer",
    ),
    "NaN in a masked weight": (
        change_tensor(REWIND, "fc1.weight", lambda t: t * float("nan")),
        r"rewind\.safetensors: 'fc1\.weight' holds NaN or infinity in 8 of 8 values",
    ),
    "infinity in a buffer": (
        change_tensor(REWIND, "norm.running_var", lambda t: t / 0),
        r"rewind\.safetensors: 'norm\.running_var' holds NaN or infinity in 2 of 2 values",
    ),
    "another weight": (
        change_tensor(REWIND, "fc2.bias", lambda t: t + 1),
        r"rewind\.safetensors: the rewind weights have digest \w{64}, but ticket\.json says \w{64}",
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_file_is_refused(folder: Path, kind: str) -> None:
    forgery, message = FORGED[kind]
    forgery(folder)
    assert_refused(folder, message)


def test_the_same_message_stops_loading_or_applying(folder: Path) -> None:
    forge_tensors(folder, REWIND, lambda tensors: tensors.update({"fc2.bias": torch.tensor([float("nan")])}))
    ticket = Ticket.from_pretrained(folder)
    with pytest.raises(TicketError, match=r"'fc2\.bias' holds NaN"):
        _ = ticket.rewind_state


def test_a_whole_ticket_swapped_between_replicates_but_for_its_digest(folder: Path) -> None:
    """Masks of seed 3 in place of seed 7's, with file size and sha256 to match: the digest of the masks tells."""
    forge(folder, MASKS, (folder / MASKS.replace("7", "3")).read_bytes())
    with pytest.raises(TicketError, match=r"seed-7/masks\.safetensors: the masks have digest"):
        Ticket.from_pretrained(folder)


def test_a_consistent_forgery_is_just_another_ticket(folder: Path) -> None:
    """Digests guard against damage, not against an author: with all of them forged the new masks are the ticket."""
    forge_tensors(folder, MASKS, lambda tensors: tensors.update({"level-4/fc1.weight": torch.tensor([0x1E]).byte()}))
    with pytest.raises(TicketError, match="have digest") as raised:
        Ticket.from_pretrained(folder)
    digest = str(raised.value).split("have digest ")[1][:64]

    def agree(config: dict[str, Any]) -> None:
        config["replicates"][0]["mask_sha256"] = digest
        config["mask_sha256"] = mask_sha256_of([(one["seed"], one["mask_sha256"]) for one in config["replicates"]])

    edit_config(folder, agree)
    assert Ticket.from_pretrained(folder, level=4).masks["fc1.weight"].flatten().nonzero().flatten().tolist() == [
        3,
        5,
        6,
        7,
    ]
