"""Pack and unpack the masks of a BERT-base ticket, against dense masks in files of float32 or int32 tensors.

The encoding `range` is measured beside the default one on tickets of one level: masks by global magnitude of normal
weights, whose rows and columns are alike, and of weights whose rows and columns differ in scale; its times are those of
all cores together.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from bert import levels, random_weights, shapes
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns

from ticketzoo.masks.entropy import cost
from ticketzoo.masks.masks import Masks, kept, sparsity, total
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.magnitude import prune_by_magnitude
from ticketzoo.ticket.config import LevelEntry
from ticketzoo.ticket.folder import check_file, entry_of
from ticketzoo.ticket.levels import pack_levels, unpack
from ticketzoo.ticket.masks_file import masks_to_bytes, read_masks

DTYPES = {"float32": torch.float32, "int32": torch.int32}


def main() -> None:
    """Measure tickets of one level, of three and of a whole trajectory."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--layers", type=int, default=12, help="transformer layers; BERT-base has 12")
    parser.add_argument(
        "--levels", type=_levels, nargs="+", default=["6", "2,4,6", "1,2,3,4,5,6,7,8,9,10"],
        help="packaged levels of each ticket, 20%% a round",
    )  # fmt: skip
    options = parse(parser)
    chosen = [_levels(one) if isinstance(one, str) else one for one in options.levels]
    trajectory = levels(random_weights(options.layers), max(map(max, chosen)))
    rows, facts = [], {"weights": f"{total(trajectory[0]):,}"}
    with tempfile.TemporaryDirectory() as folder:
        for packaged in chosen:
            masks = {level: trajectory[level] for level in packaged}
            ours = Packed(Path(folder), masks, options.layers)
            for name, dtype in DTYPES.items():
                rows += compare(masks, ours, Dense(Path(folder), masks, dtype), name, options.rounds)
            facts |= size(masks, ours, trajectory)
        for name, masks in one_level(options.layers):
            found, fact = compare_range(Path(folder), masks, options.layers, name, options.rounds)
            rows, facts = [*rows, *found], {**facts, **fact}
    Report("Packing masks", rows, facts).print(options.json)


def compare(masks: dict[int, Masks], ours: "Packed", theirs: "Dense", name: str, rounds: int) -> list[Row]:
    """Packing (bool masks to a file) and unpacking (a file to bool masks) of all levels."""
    case = f"{len(masks)} level{'s' * (len(masks) > 1)}"
    goal = Goal(0.5, "ours")
    packing = take_turns({"ours": ours.pack, "theirs": theirs.pack}, rounds)
    unpacking = take_turns({"ours": ours.unpack, "theirs": theirs.unpack}, rounds)
    return [
        Row(f"pack {case}", "s", packing["ours"], f"torch.save, {name}", packing["theirs"], goal),
        Row(f"unpack {case}", "s", unpacking["ours"], f"torch.load, {name}", unpacking["theirs"], goal),
    ]


def one_level(layers: int) -> Iterator[tuple[str, Masks]]:
    """Masks of 70% and 90% sparsity, by name."""
    even = random_weights(layers)
    generator = torch.Generator().manual_seed(1)
    uneven = {}
    for name, weight in even.items():
        rows, columns = (0.3 * torch.randn(size, generator=generator) for size in weight.shape)
        uneven[name] = weight * torch.exp(rows[:, None] + columns)
    for kind, weights in (("alike", even), ("uneven", uneven)):
        dense = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}
        for rate in (0.7, 0.9):
            masks = prune_by_magnitude(weights, dense, PruningConfig(rate=rate))
            yield f"{rate:.0%}, rows and columns {kind}", masks


def compare_range(folder: Path, masks: Masks, layers: int, name: str, rounds: int) -> tuple[list[Row], dict[str, str]]:
    """The encoding `range` of one level, against the default one, in seconds of all cores together.

    The goal is to unpack 50 million weights a second on one core, everything checked: each is decoded twice.
    """
    ours, theirs = (Packed(folder, {1: masks}, layers, asked) for asked in ("range", ""))
    packing = take_turns({one: core_seconds(way.pack) for one, way in (("ours", ours), ("theirs", theirs))}, rounds)
    unpacking = {}
    for one, way in (("ours", ours), ("theirs", theirs)):
        way.pack()
        unpacking |= take_turns({one: core_seconds(way.unpack)}, rounds)
    size = len(masks_to_bytes(pack_levels({1: masks}.items(), "range")))
    bits = ours.bits
    goal = Goal(total(masks) / 50e6, "ours")
    bound = int(cost(*(np.array([(int(mask.sum()), mask.numel()) for mask in masks.values()]).T)).sum()) // 8
    fact = (
        f"{size:,} bytes; masks alone {bits:,}, {bits / bound:.4f} of Shannon's bound for the density of each "
        f"parameter and {bits / theirs.bits:.4f} of a bit per weight"
    )
    return [
        Row(f"pack as range, {name}", "s", packing["ours"], "as bits", packing["theirs"]),
        Row(f"unpack as range, {name}", "s", unpacking["ours"], "as bits", unpacking["theirs"], goal),
    ], {f"range, {name}": fact}


def core_seconds(act: Callable[[], float]) -> Callable[[], float]:
    """Return a way that takes the seconds of all cores together."""

    def timed() -> float:
        began = time.process_time()
        act()
        return time.process_time() - began

    return timed


def size(masks: dict[int, Masks], ours: "Packed", trajectory: Sequence[Masks]) -> dict[str, str]:
    """Return what the file takes: bits for each weight that survived the packaged level before."""
    outer = [trajectory[0], *masks.values()]
    divided = sum(kept(before) for before in outer[:-1])
    weights, packed = total(trajectory[0]), ours.path.stat().st_size
    dense = 4 * weights * len(masks)
    return {
        f"{len(masks)} packaged, down to sparsity {sparsity(outer[-1]):.3f}": f"{packed:,} bytes, "
        f"{packed - ours.bits:,} of them header; {8 * ours.bits / divided:.4f} bits per weight and level that divides "
        f"it, {8 * packed / weights:.2f} bits per weight; float32 or int32: {dense:,} bytes, {dense / packed:.0f} x"
    }


class Packed:
    """A ticket's masks.safetensors."""

    def __init__(self, folder: Path, masks: dict[int, Masks], layers: int, asked: str = "") -> None:
        self.path = folder / "masks.safetensors"
        self.masks, self.shapes, self.asked = masks, dict(shapes(layers)), asked
        self.entries = [LevelEntry(level=level, sparsity=sparsity(one), kept=kept(one)) for level, one in masks.items()]

    def pack(self) -> float:
        """Seconds from bool masks to the file and its digests."""
        with Stopwatch() as watch:
            packed = pack_levels(self.masks.items(), self.asked)
            content = masks_to_bytes(packed)
            self.path.write_bytes(content)
            self.entry, self.digest = entry_of(content), packed.sha256()
        self.bits = sum(masks.nbytes for masks in safetensors.numpy.load(content).values())
        return watch.seconds

    def unpack(self) -> float:
        """Seconds from the file, everything in it checked, to bool masks."""
        with Stopwatch() as watch:
            path = check_file(self.path.parent, self.path.name, self.entry)
            levels = read_masks(path, path.name, self.shapes, self.entries, number=2)
            unchanged = levels.sha256() == self.digest
            for _, bits in levels.walk():
                masks = unpack(bits, self.shapes)
        sparsest = self.masks[max(self.masks)]
        if not unchanged or any(not torch.equal(mask, sparsest[name]) for name, mask in masks.items()):
            raise SystemExit("what was unpacked is not what was packed")
        return watch.seconds


class Dense:
    """A file of dense masks for each level, as research code leaves them; written one after the other to one place."""

    def __init__(self, folder: Path, masks: dict[int, Masks], dtype: torch.dtype) -> None:
        self.path, self.masks, self.dtype = folder / "masks.pth", masks, dtype

    def pack(self) -> float:
        """Seconds from bool masks to the files."""
        with Stopwatch() as watch:
            for masks in self.masks.values():
                torch.save({name: mask.to(self.dtype) for name, mask in masks.items()}, self.path)
        return watch.seconds

    def unpack(self) -> float:
        """Seconds from the files to bool masks."""
        with Stopwatch() as watch:
            for _ in self.masks:
                _ = {name: mask.bool() for name, mask in torch.load(self.path).items()}
        return watch.seconds


def _levels(text: str) -> list[int]:
    return sorted({int(level) for level in text.split(",")})


if __name__ == "__main__":
    main()
