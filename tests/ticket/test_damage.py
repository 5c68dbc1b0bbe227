"""Every way a ticket's files may be wrong gives one line that names file, tensor and both values."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from toy_ticket import edit_config, forge, forge_tensors, rewind_state, toy_ticket

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.ticket import Ticket, verify_ticket
from ticketzoo.ticket.config import mask_sha256_of
from ticketzoo.ticket.digests import digest_of_digests

MASKS, REWIND = "seed-7/masks.safetensors", "seed-7/rewind.safetensors"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_ticket().save_pretrained(tmp_path_factory.mktemp("sound") / "toy")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "toy"))


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def swap_replicates(folder: Path) -> None:
    one, other = folder / REWIND.replace("7", "3"), folder / REWIND
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


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


def declare(path: str, value: object) -> Callable[[Path], None]:
    """Set one value of ticket.json, `path` like `levels.0.kept`."""

    def edit(config: Any) -> None:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        for part in parents:
            config = config[part]
        config[last] = value

    return lambda folder: edit_config(folder, edit)


def bits(*values: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda _: torch.tensor(values, dtype=torch.uint8)


def encoded_as(text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / MASKS).read_bytes()
        forge(folder, MASKS, content.replace(b"survivor-bits", text.encode(), 1))

    return damage


def with_header(length: int) -> Callable[[Path], None]:
    return lambda folder: forge(folder, MASKS, length.to_bytes(8, "little") + (folder / MASKS).read_bytes()[8:])


FILE_DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no such ticket folder"),
    "no ticket.json": (lambda f: (f / "ticket.json").unlink(), r"not a ticket: there is no ticket\.json"),
    "masks missing": (lambda f: (f / MASKS).unlink(), r"seed-7/masks\.safetensors: missing"),
    "rewind missing": (lambda f: (f / REWIND).unlink(), r"seed-7/rewind\.safetensors: missing"),
    "replicate missing": (lambda f: shutil.rmtree(f / "seed-3"), r"seed-3/masks\.safetensors: missing"),
    "recipe missing": (lambda f: (f / "recipe.yaml").unlink(), r"recipe\.yaml: missing"),
    "a folder for a file": (
        lambda f: ((f / MASKS).unlink(), (f / MASKS).mkdir()),
        r"seed-7/masks\.safetensors: missing",
    ),
    "masks truncated": (
        lambda f: (f / MASKS).write_bytes((f / MASKS).read_bytes()[:-1]),
        r"masks\.safetensors: truncated: it has \d+ bytes, but ticket\.json says \d+",
    ),
    "rewind oversized": (
        lambda f: (f / REWIND).write_bytes((f / REWIND).read_bytes() + b"x"),
        r"rewind\.safetensors: oversized: it has \d+ bytes, but ticket\.json says \d+",
    ),
    "masks bit-flipped": (
        lambda f: flip_last_bit(f / MASKS),
        r"masks\.safetensors: damaged: its sha256 is \w{64}, but ticket\.json says \w{64}",
    ),
    "rewind bit-flipped": (lambda f: flip_last_bit(f / REWIND), r"rewind\.safetensors: damaged: its sha256 is"),
    "rewind swapped between replicates": (swap_replicates, r"rewind\.safetensors: damaged: its sha256 is"),
    "results changed": (lambda f: flip_last_bit(f / "results.jsonl"), r"results\.jsonl: damaged"),
    "recipe changed": (lambda f: flip_last_bit(f / "recipe.yaml"), r"recipe\.yaml: damaged"),
}

FORGED_TENSORS: dict[str, tuple[Callable[[Path], object], str]] = {
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
        r"'level-2/fc1\.weight' is U8 of shape \(2,\), but the bits of 8 surviving weights need uint8 of shape \(1,\)",
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
        r"'level-4/fc1\.weight' is U8 of shape \(2,\), but the bits of 6 surviving weights need uint8 of shape \(1,\)",
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
        r"masks\.safetensors: has no tensor 'level-1/fc1\.weight', .*, 'level-4/fc1\.weight' and 1 more",
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

FORGED_CONFIG: dict[str, tuple[Callable[[Path], object], str]] = {
    "format of tomorrow": (declare("format", 2), "format 2 was made by a newer ticketzoo .this one reads 1.: upgrade"),
    "no format": (declare("format", "1"), "not a ticket: it states no format number"),
    "a path for a name": (declare("name", "../../evil"), "name: String should match pattern"),
    "a path for a parameter": (
        declare("pruning/parameters/0/name", "../fc1"),
        r"pruning\.parameters\.0\.name: String should match pattern",
    ),
    "a path for a file": (
        declare("replicates/0/files", {"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}}),
        r"files of seed 7 must be seed-7/masks\.safetensors and seed-7/rewind\.safetensors",
    ),
    "another document": (
        declare("files", {"../README.md": {"bytes": 1, "sha256": "0" * 64}}),
        r"files\..*: Input should be 'recipe\.yaml' or 'results\.jsonl'",
    ),
    "a negative seed": (
        declare("replicates/0/seed", -1),
        r"replicates\.0\.seed: Input should be greater than or equal",
    ),
    "a seed that is text": (declare("replicates/0/seed", "../.."), r"replicates\.0\.seed: Input should be a valid int"),
    "a seed twice": (declare("replicates/0/seed", 3), "replicates: seed 3 appears twice"),
    "another seed": (declare("replicates/0/seed", 8), r"mask_sha256: \w{64}, but the replicates' digests give"),
    "a level twice": (declare("levels/1/level", 1), "levels: level 1 comes after level 1"),
    "levels out of order": (declare("levels/0/level", 3), "levels: level 2 comes after level 3"),
    "other sparsity": (
        declare("levels/0/sparsity", 0.2),
        "level 1 says sparsity 0.2, but 10 of 12 kept is 0.16666666666666666",
    ),
    "more kept": (declare("levels/1/kept", 11), "levels: level 2 keeps 11 weights, more than the 10 before"),
    "nothing kept": (declare("levels/2/kept", 0), r"levels\.2\.kept: Input should be greater than or equal to 1"),
    "a parameter twice": (
        declare("pruning/parameters/1/name", "fc1.weight"),
        "pruning.parameters: name fc1.weight appears twice",
    ),
    "a shape of nothing": (declare("pruning/parameters/0/shape", [2, 0]), r"shape\.1: Input should be greater than"),
    "a shape beyond memory": (
        declare("pruning/parameters/0/shape", [2**30, 2**30]),
        "pruning.parameters: 1152921504606846978 weights, more than 1099511627776",
    ),
    "another shape": (declare("pruning/parameters/0/shape", [3, 5]), "but 10 of 17 kept is"),
    "a transposed shape": (
        declare("pruning/parameters/0/shape", [5, 2]),
        r"masks\.safetensors: the masks have digest \w{64}, but ticket\.json says",
    ),
    "no levels": (declare("levels", []), "levels: List should have at least 1 item"),
    "no replicates": (declare("replicates", []), "replicates: List should have at least 1 item"),
    "no rewind digest": (declare("replicates/0/rewind_sha256", None), "seed 7 must have rewind_sha256"),
    "an unknown rewind": (declare("rewind/kind", "pickle"), "rewind: Input tag 'pickle' .* does not match any of"),
    "winning on two seeds": (
        declare(
            "verdict",
            {
                "rule": "r",
                "metric": "m",
                "at": "final",
                "label": "winning",
                "levels": [
                    {"level": 1, "sparsity": 0.5, "target": "t", "label": "winning", "seeds": 2, "reason": "said so"}
                ],
            },
        ),
        r"verdict\.levels\.0: 'winning' needs at least 3 seeds, not 2",
    ),
    "winning without a level": (
        declare("verdict", {"rule": "r", "metric": "m", "at": "final", "label": "winning"}),
        "verdict: no level is 'winning'",
    ),
    "not JSON": (lambda f: (f / "ticket.json").write_bytes(b'{"format": 1'), "ticket.json: not valid JSON"),
    "not text": (lambda f: (f / "ticket.json").write_bytes(b"\xff\xfe\x00"), "ticket.json: not valid JSON"),
    "a list": (lambda f: (f / "ticket.json").write_bytes(b"[1]"), "not a ticket: it states no format number"),
    "a key twice": (lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "format": 1}'), "a key appears twice"),
    "NaN": (declare("levels/0/sparsity", float("nan")), "not valid JSON: NaN is not a number"),
    "a number beyond floats": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": 1e999}'),
        "number 1e999 is out of range",
    ),
    "half a surrogate pair": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": "\\ud800"}'),
        "surrogates not allowed",
    ),
    "deep nesting": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
        "ticket.json: not valid JSON",
    ),
    "nesting": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": ' + b"[" * 200 + b"]" * 200 + b"}"),
        "nested more than 64 deep",
    ),
    "too much": (
        lambda f: (f / "ticket.json").write_bytes(b" " * (2**24 + 1)),
        "more than 16777216 bytes, too much for a ticket",
    ),
}

ALL_DAMAGE = FILE_DAMAGE | FORGED_TENSORS | FORGED_CONFIG


@pytest.mark.parametrize("kind", ALL_DAMAGE)
def test_damage_is_named(folder: Path, kind: str) -> None:
    damage, message = ALL_DAMAGE[kind]
    damage(folder)
    with pytest.raises(TicketError, match=message) as raised:
        verify_ticket(folder)
    assert str(raised.value).isprintable()
    assert str(folder) in str(raised.value)


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


def test_unknown_keys_are_kept_and_not_acted_on(folder: Path, tmp_path: Path) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["x_new"] = {"command": "rm -rf /"}
        config["source"]["split"] = "train"
        config["levels"][0]["note"] = 1.5

    edit_config(folder, edit)
    again = Ticket.from_pretrained(folder).save_pretrained(tmp_path / "again")
    config = json.loads((again / "ticket.json").read_text())
    assert config["x_new"] == {"command": "rm -rf /"}
    assert config["source"] == {"dataset": "numbers", "revision": None, "fingerprint": None, "split": "train"}
    assert config["levels"][0] == {"level": 1, "sparsity": 2 / 12, "kept": 10, "note": 1.5}


def test_masks_load_without_the_weights_they_refer_to(folder: Path) -> None:
    def edit(config: dict[str, Any]) -> None:
        base = {"repo_id": "google-bert/bert-base-uncased", "revision": "0" * 40, "sha256": "0" * 64}
        config["rewind"] = {"kind": "base", "step": 0, **base}
        for replicate in config["replicates"]:
            replicate["rewind_sha256"] = None
            del replicate["files"][f"seed-{replicate['seed']}/rewind.safetensors"]

    edit_config(folder, edit)
    ticket = Ticket.from_pretrained(folder, level=4, local_files_only=True)
    assert ticket.masks["fc2.weight"].tolist() == [[False, True]]
    with pytest.raises(RegistryError, match=r"google-bert/bert-base-uncased@0{40}: not in the cache"):
        _ = ticket.rewind_state


def test_files_may_be_links_into_a_cache(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        blob = path.rename(tmp_path / "blobs" / str(number))
        path.symlink_to(blob)
    assert Ticket.from_pretrained(folder, level=4).rewind_state["fc2.bias"] == rewind_state()["fc2.bias"]


def digests_of(folder: Path) -> tuple[str, ...]:
    """What a ticket's masks and rewind weights are, read back through the public interface."""
    ticket = Ticket.from_pretrained(folder)
    found = []
    for seed in ticket.seeds:
        for level in ticket.levels:
            view = ticket.at(level=level.level, seed=seed)
            tensors = {**view.masks, **{f"rewind {name}": tensor for name, tensor in view.rewind_state.items()}}
            found.append((f"{level.level}", repr(sorted((name, tensor.tolist()) for name, tensor in tensors.items()))))
    return (digest_of_digests(sorted(found)), *(str(level.level) for level in ticket.levels))


def mutate(random: random.Random, folder: Path) -> None:
    path = random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    content = bytearray(path.read_bytes())
    place = random.randrange(len(content))
    match random.randrange(5):
        case 0:
            content[place] ^= 1 << random.randrange(8)
        case 1:
            del content[place:]
        case 2:
            content[place:place] = random.randbytes(random.randrange(1, 9))
        case 3:
            del content[place : place + random.randrange(1, 9)]
        case _:
            content[place] = random.randrange(256)
    if path.suffix == ".safetensors" and "seed-7" in path.parts and random.random() < 0.7:
        forge(folder, path.relative_to(folder).as_posix(), bytes(content))
    else:
        path.write_bytes(content)


def test_a_mutant_is_refused_or_is_the_same_ticket(sound: Path, tmp_path: Path) -> None:
    expected = digests_of(sound)
    chance = random.Random(0)
    refused = 0
    for number in range(300):
        folder = Path(shutil.copytree(sound, tmp_path / str(number)))
        mutate(chance, folder)
        try:
            assert digests_of(folder) == expected
        except TicketError as error:
            refused += 1
            assert str(error).isprintable()
    assert refused > 150
