"""docs/format.md is enough to write a reader from: this one follows it, with numpy, json and safetensors alone."""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "tests" / "artefacts"
FOLDERS = sorted(path.parent for path in ARTEFACTS.glob("format-*/*/ticket.json"))
Arrays = dict[str, NDArray[Any]]


def bits_of(array: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    assert array.shape == ((count + 7) // 8,)
    bits = np.unpackbits(array, bitorder="little")
    assert not bits[count:].any()
    return bits[:count].astype(bool)


def header(name: str, kind: str, shape: Iterable[int]) -> bytes:
    return json.dumps([name, kind, list(shape)]).encode() + b"\n"


def digest_of_masks(masks: Arrays) -> str:
    digest = hashlib.sha256()
    for name, mask in sorted(masks.items()):
        digest.update(header(name, "mask", mask.shape))
        digest.update(np.packbits(mask.reshape(-1), bitorder="little").tobytes())
    return digest.hexdigest()


def digest_of_digests(digests: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("".join(f"{key} {digest}\n" for key, digest in digests).encode()).hexdigest()


def digest_of_weights(tensors: Arrays) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(header(name, str(tensor.dtype), tensor.shape) + np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def tensors_in(path: Path) -> tuple[Arrays, dict[str, str]]:
    with safe_open(path, "np") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def read_masks(folder: Path, config: dict[str, Any], seed: int) -> dict[int, Arrays]:
    stored, metadata = tensors_in(folder / f"seed-{seed}" / "masks.safetensors")
    encodings = json.loads(metadata["encoding"])
    shapes = {one["name"]: one["shape"] for one in config["pruning"]["parameters"]}
    assert stored.keys() == {f"level-{entry['level']}/{name}" for entry in config["levels"] for name in shapes}
    levels: dict[int, Arrays] = {}
    outer = {name: np.ones(math.prod(shape), bool) for name, shape in shapes.items()}
    for entry in config["levels"]:
        level, here = entry["level"], {}
        for name in shapes:
            key = f"level-{level}/{name}"
            if encodings[key] == "survivor-bits":
                here[name] = np.zeros(outer[name].shape, bool)
                here[name][outer[name]] = bits_of(stored[key], int(outer[name].sum()))
            else:
                assert encodings[key] == "bits"
                here[name] = bits_of(stored[key], len(outer[name]))
        levels[level] = {name: mask.reshape(shapes[name]) for name, mask in here.items()}
        outer = here
    return levels


def read_weights(stored: Arrays, prefix: str, known: Arrays, signed: bool = False) -> Arrays:
    """Dense tensors, 0.0 where not known."""
    named = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
    found = {name: value for name, value in named.items() if "/" not in name and name not in known}
    for name, places in known.items():
        if signed:
            signs = bits_of(named[f"sign/{name}"], int(places.sum()))
            values = np.where(signs, named[f"scale/{name}"], -named[f"scale/{name}"])
        else:
            values = named[name]
        found[name] = np.zeros(places.shape, values.dtype)
        found[name][places] = values
    return found


def check_replicate(folder: Path, config: dict[str, Any], replicate: dict[str, Any]) -> str:
    """Read all of one replicate and compare its digests. Returns that of its masks."""
    seed, rewind = replicate["seed"], config["rewind"]
    masks = read_masks(folder, config, seed)
    mask_sha256 = digest_of_digests((f"level-{level}", digest_of_masks(one)) for level, one in masks.items())
    assert mask_sha256 == replicate["mask_sha256"]
    everything = {name: np.ones(mask.shape, bool) for name, mask in next(iter(masks.values())).items()}
    frozen = config.get("masked", "zero") == "frozen"
    if rewind["kind"] in ("packed", "signed"):
        stored, _ = tensors_in(folder / f"seed-{seed}" / "rewind.safetensors")
        signed = rewind["kind"] == "signed"
        if "levels" in rewind:
            states = {
                level: read_weights(stored, f"level-{level}/", everything if frozen else masks[level], signed)
                for level in rewind["levels"]
            }
            digest = digest_of_digests((f"level-{level}", digest_of_weights(one)) for level, one in states.items())
        else:
            union = {name: np.any([one[name] for one in masks.values()], axis=0) for name in everything}
            digest = digest_of_weights(read_weights(stored, "", everything if frozen else union, signed))
        assert digest == replicate["rewind_sha256"]
    if "values" in config:
        stored, _ = tensors_in(folder / f"seed-{seed}" / "values.safetensors")
        values = {level: read_weights(stored, f"level-{level}/", masks[level]) for level in config["values"]["levels"]}
        digest = digest_of_digests((f"level-{level}", digest_of_weights(one)) for level, one in values.items())
        assert digest == replicate["values_sha256"]
    return mask_sha256


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_reader_reads_what_the_library_wrote(folder: Path) -> None:
    config = json.loads((folder / "ticket.json").read_text())
    files = dict(config["files"])
    for replicate in config["replicates"]:
        files |= replicate["files"]
    for path, entry in files.items():
        content = (folder / path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
    digests = [(f"seed-{one['seed']}", check_replicate(folder, config, one)) for one in config["replicates"]]
    assert digest_of_digests(digests) == config["mask_sha256"]


def test_both_formats_are_read() -> None:
    assert {path.parent.name for path in FOLDERS} == {"format-1", "format-2"}
    kinds = {json.loads((path / "ticket.json").read_text())["rewind"]["kind"] for path in FOLDERS}
    assert kinds == {"packed", "base", "signed"}  # what a seed draws is not for any other library to read


def test_the_worked_example() -> None:
    text = (ROOT / "docs/format.md").read_text().split("<!-- example -->\n")[1].split("<!-- end -->")[0]
    stated = dict(line.rsplit(maxsplit=1) for line in text.splitlines() if not line.startswith("```"))
    kept = {1: [0, 2, 3, 5, 6, 7, 8, 9], 2: [0, 3, 5, 6, 7, 8]}
    masks = {level: np.isin(np.arange(10), places).reshape(2, 5) for level, places in kept.items()}
    survivors = masks[2][masks[1]]
    digests = {level: digest_of_masks({"w": mask}) for level, mask in masks.items()}
    replicate = digest_of_digests((f"level-{level}", digest) for level, digest in digests.items())
    weights = {
        "w": np.array([[1, 0, -2, 0.5, 0], [3, 4, 5, 6, 7]], np.float32),
        "b": np.array([1, 2], np.float32),
    }
    assert stated == {
        "level-1/w, survivor-bits": np.packbits(masks[1].reshape(-1), bitorder="little").tobytes().hex(),
        "level-2/w, survivor-bits": np.packbits(survivors, bitorder="little").tobytes().hex(),
        "header of w": header("w", "mask", [2, 5]).hex(),
        "digest 1 of level 1, bits ed03": digests[1],
        "digest 1 of level 2, bits e901": digests[2],
        "mask_sha256 of the replicate": replicate,
        "mask_sha256 of the ticket": digest_of_digests([("seed-7", replicate)]),
        "digest 3 of w and b, float32": digest_of_weights(weights),
    }
