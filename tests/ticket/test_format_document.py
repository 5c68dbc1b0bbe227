"""docs/format.md is enough to write a reader from: this one follows it, with numpy, json and safetensors alone."""

import hashlib
import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

from ticketzoo.ticket import range_code

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
            everything = np.ones(len(outer[name]), bool)
            if encodings[key] == "survivor-bits":
                here[name] = np.zeros(outer[name].shape, bool)
                here[name][outer[name]] = bits_of(stored[key], int(outer[name].sum()))
            elif encodings[key] == "bits":
                here[name] = bits_of(stored[key], len(outer[name]))
            else:
                before = {"survivor-range": outer[name], "range": everything}[encodings[key]]
                here[name] = RangeCode(stored[key]).mask(shapes[name], before)
        levels[level] = {name: mask.reshape(shapes[name]) for name, mask in here.items()}
        outer = here
    return levels


class RangeCode:
    """The section "Range codes", step by step, a bit at a time."""

    def __init__(self, content: NDArray[np.uint8]) -> None:
        first, numbers, self.at = int(content[0]), [], 1
        self.r, self.c, self.ranked = first & 3, first >> 2 & 3, first >> 4
        assert self.ranked < 2
        for _ in range(2 ** (self.r + self.c)):
            digits: list[int] = []
            while not digits or digits[-1] & 128:
                digits.append(int(content[self.at]))
                self.at += 1
            numbers.append(sum((digit & 127) << 7 * place for place, digit in enumerate(digits)))
        self.kept, self.length = numbers, len(content)
        self.bits = np.unpackbits(content[self.at :], bitorder="little").tolist()
        self.header, self.at = self.at, 0

    def number(self, width: int) -> int:
        digits = self.bits[self.at : self.at + width]
        assert len(digits) == width
        self.at += width
        return sum(digit << place for place, digit in enumerate(digits))

    def mask(self, shape: list[int], before: NDArray[np.bool_]) -> NDArray[np.bool_]:
        rows, columns = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
        coded = before.reshape(rows, columns)
        sums = [np.zeros(rows, int), np.zeros(columns, int)] if before.all() else [coded.sum(1), coded.sum(0)]
        row, column = (self.classes(kept.tolist(), power) for kept, power in zip(sums, (self.r, self.c), strict=True))
        region = np.add.outer(np.array(row) * 2**self.c, column)
        places = [np.flatnonzero(coded & (region == number)) for number in range(len(self.kept))]
        found = np.zeros(before.shape, bool)
        for place, bits in zip(places, self.strings([len(place) for place in places]), strict=True):
            found[place] = bits
        used = self.header + (self.at + 7) // 8
        with_classes = max(before.size // 512, (rows + columns) // 64)
        assert self.length == max(used, with_classes if self.r + self.c else int(before.sum()) // 4096)
        assert not any(self.bits[self.at :])
        return found

    def classes(self, kept: list[int], power: int) -> list[int]:
        if not self.ranked:
            return [self.number(power) for _ in kept]
        order = sorted(range(len(kept)), key=lambda place: kept[place])
        return [order.index(place) * 2**power // len(kept) for place in range(len(kept))]

    def strings(self, totals: list[int]) -> list[list[int]]:
        regions = []
        for n, k in zip(totals, self.kept, strict=True):
            q, b = min(k, n - k), 64
            while q and 2 * b * q < 3 * n and b < 16384:
                b *= 2
            bits = [0] * (-(-n // b) * b) if q else [0] * n
            regions.append((n, k, q, b, bits))
        waiting = [list(range(0, len(bits), b)) if q else [] for n, k, q, b, bits in regions]
        size = 16384
        while size >= 64:
            blocks = [(one, start) for one in range(len(regions)) if regions[one][3] >= size for start in waiting[one]]
            self.round(size, regions, blocks, waiting)
            size //= 2
        for n, k, q, _, bits in regions:
            assert sum(bits) == q
            assert not any(bits[n:])
            if 2 * k > n:
                bits[:n] = [1 - bit for bit in bits[:n]]
        return [bits[:n] for n, _, _, _, bits in regions]

    def round(self, size: int, regions: list[Any], blocks: list[tuple[int, int]], waiting: list[list[int]]) -> None:
        most = dict(zip([64 * 2**power for power in range(9)], [64, 14, 11, 9, 7, 6, 6, 5, 4], strict=True))[size]
        nodes = [huffman(size, most if size == 64 else most + 1, *regions[one][:3:2]) for one, _ in blocks]
        while any(isinstance(node, tuple) for node in nodes):
            nodes = [node[self.number(1)] if isinstance(node, tuple) else node for node in nodes]
        for one in {one for one, _ in blocks}:
            waiting[one] = []
        coded = []
        for (one, start), ones in zip(blocks, nodes, strict=True):
            if ones > most:
                waiting[one] += [start, start + size // 2]
                continue
            width = math.comb(size, ones).bit_length() - 1
            coded.append([one, start, ones, self.number(width), 2 ** (width + 1) - math.comb(size, ones)])
        for one, start, ones, rank, short in coded:
            left = rank if rank < short else 2 * rank + self.number(1) - short
            place = size
            for number in range(ones, 0, -1):
                while (below := math.comb(place, number)) > left:
                    place -= 1
                left -= below
                regions[one][4][start + place] = 1


@cache
def huffman(size: int, last: int, n: int, q: int) -> Any:
    """The last node: a symbol, or the pair of a node's children."""
    d = max(1, (64 * size * q + n // 2) // n)
    nodes: list[Any] = [
        (math.comb(size, symbol) * d**symbol * (64 * size - d) ** (last - symbol), symbol, symbol)
        for symbol in range(last + 1)
    ]
    made = last
    while len(nodes) > 1:
        nodes.sort(key=lambda node: node[:2])
        made += 1
        nodes = [*nodes[2:], (nodes[0][0] + nodes[1][0], made, (nodes[0][2], nodes[1][2]))]
    return nodes[0][2]


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
        "3 and 30 of 40 weights, range": encoded(np.isin(np.arange(40), [3, 30])).tobytes().hex(),
        "header of w": header("w", "mask", [2, 5]).hex(),
        "digest 1 of level 1, bits ed03": digests[1],
        "digest 1 of level 2, bits e901": digests[2],
        "mask_sha256 of the replicate": replicate,
        "mask_sha256 of the ticket": digest_of_digests([("seed-7", replicate)]),
        "digest 3 of w and b, float32": digest_of_weights(weights),
    }


def encoded(mask: NDArray[np.bool_], outer: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """The library's range code of a mask."""
    packed = [None if one is None else np.packbits(one, bitorder="little") for one in (mask, outer)]
    content = range_code.encode(packed[0], mask.shape, packed[1])
    assert content is not None
    return content


@pytest.mark.parametrize("density", [0.0, 0.0005, 0.004, 0.02, 0.2, 0.97, 1.0])
@pytest.mark.parametrize("shape", [(70, 90), (30, 11, 2, 7), (9000,)])
def test_range_codes_are_read_as_the_page_says(density: float, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    dense = random.random((shape[0], *[1] * (len(shape) - 1))) * random.random((1, *shape[1:]))
    mask, outer = random.random(shape) < density, random.random(shape) < 0.3 + dense
    uneven, inside = random.random(shape) < dense * density, mask & outer & (random.random(shape) < dense / 2)
    mask[: len(mask) // 50], inside[: len(mask) // 50] = True, outer[: len(mask) // 50]  # blocks with too many ones
    for one in (mask, uneven):
        read = RangeCode(encoded(one)).mask(list(shape), np.ones(one.size, bool))
        assert np.array_equal(read, one.reshape(-1))
    read = RangeCode(encoded(inside, outer)).mask(list(shape), outer.reshape(-1))
    assert np.array_equal(read, inside.reshape(-1))


def test_range_codes_with_classes_by_the_level_before_are_read_as_the_page_says() -> None:
    random = np.random.default_rng(0)
    rows, columns = random.random((120, 1)), random.random((1, 100))
    outer = random.random((120, 100)) < 0.3 + 0.7 * rows * columns
    inside = outer & (random.random((120, 100)) < rows * columns)
    code = RangeCode(encoded(inside, outer))
    assert (code.ranked, code.r > 0, code.c > 0) == (1, True, True)
    assert np.array_equal(code.mask([120, 100], outer.reshape(-1)), inside.reshape(-1))
