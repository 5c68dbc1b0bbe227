"""Write and read the masks of a model of eight billion weights, and measure memory and time.

Run `python benchmarks/huge_masks.py [--billions 8]`. The masks are random bits in the shapes of a Llama's layers: there
are no weights. Each of the two parts runs in a process of its own; its memory is the most that it had, less what it had
after imports. A bar on standard error shows how far it is.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from ticketzoo.data.progress_bar import with_progress
from ticketzoo.ticket.config import LevelEntry
from ticketzoo.ticket.levels import Shapes, pack_levels
from ticketzoo.ticket.masks_file import mask_pieces, read_masks
from ticketzoo.ticket.write import write_pieces

LAYER = {
    "self_attn.q_proj": (4096, 4096),
    "self_attn.k_proj": (1024, 4096),
    "self_attn.v_proj": (1024, 4096),
    "self_attn.o_proj": (4096, 4096),
    "mlp.gate_proj": (14336, 4096),
    "mlp.up_proj": (14336, 4096),
    "mlp.down_proj": (4096, 14336),
}
FILE = "masks.safetensors"


def shapes_of(billions: float) -> Shapes:
    """Return the shapes of as many layers as have this many weights, at least one."""
    layers = max(1, round(billions * 1e9 / sum(rows * columns for rows, columns in LAYER.values())))
    return {f"layers.{n}.{name}.weight": shape for n in range(layers) for name, shape in LAYER.items()}


class RandomMasks(Mapping[str, Tensor]):
    """Masks that are drawn when they are asked for, the same each time, one at a time."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes

    def __getitem__(self, name: str) -> Tensor:
        rows, columns = self.shapes[name]
        random = np.random.default_rng(list(name.encode()))
        bits = random.integers(0, 256, rows * columns // 8, dtype=np.uint8)
        return torch.from_numpy(np.unpackbits(bits, bitorder="little").view(np.bool_)).view(rows, columns)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def peak() -> int:
    """Return the most memory that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write(path: Path, shapes: Shapes) -> dict[str, object]:
    """Pack and write the masks; return digest and count."""
    packed = pack_levels([(1, RandomMasks(shapes))])
    pieces = with_progress(mask_pieces(packed), 1 + len(shapes), "writing masks")
    entry = write_pieces(path, pieces)
    return {"kept": sum(packed.kept(1).values()), "masks": packed.sha256(), "bytes": entry["bytes"]}


def read(path: Path, shapes: Shapes, kept: int) -> dict[str, object]:
    """Read the masks, check them as a loader does, and unpack each; return digest and count."""
    weights = sum(rows * columns for rows, columns in shapes.values())
    entry = LevelEntry(level=1, sparsity=(weights - kept) / weights, kept=kept)
    packed = read_masks(path, str(path), shapes, [entry])
    bits, random, found = packed.bits(1), RandomMasks(shapes), 0
    for name in with_progress(shapes, len(shapes), "unpacking masks"):
        rows, columns = shapes[name]
        mask = np.unpackbits(bits[name], bitorder="little")
        found += int(mask.sum(dtype=np.int64))
        if name.startswith("layers.0."):
            assert np.array_equal(mask.view(np.bool_).reshape(rows, columns), random[name].numpy())
    return {"kept": found, "masks": packed.sha256()}


def part(arguments: argparse.Namespace) -> None:
    """Run one part and print, as JSON, what it found, its seconds and its memory."""
    shapes, before, started = shapes_of(arguments.billions), peak(), time.perf_counter()
    path = Path(arguments.folder, FILE)
    found = write(path, shapes) if arguments.part == "write" else read(path, shapes, arguments.kept)
    took = time.perf_counter() - started
    print(json.dumps(found | {"seconds": took, "memory": peak() - before}))


def main() -> None:
    """Run both parts, compare them, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--billions", type=float, default=8.0)
    parser.add_argument("--part", choices=["write", "read"])
    parser.add_argument("--folder")
    parser.add_argument("--kept", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.part:
        part(arguments)
        return
    weights = sum(rows * columns for rows, columns in shapes_of(arguments.billions).values())
    with TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--billions", str(arguments.billions), "--folder", folder]
        found: dict[str, dict[str, float]] = {}
        for one in ("write", "read"):
            more = ["--part", one, "--kept", str(found["write"]["kept"])] if one == "read" else ["--part", one]
            done = subprocess.run([*command, *more], stdout=subprocess.PIPE, text=True, check=True)
            found[one] = json.loads(done.stdout)
        size = Path(folder, FILE).stat().st_size
        assert found["write"]["masks"] == found["read"]["masks"]
        assert found["write"]["kept"] == found["read"]["kept"]
        print(f"{weights:,} weights, a file of {size / 1e9:.3f} GB, {8 * size / weights:.4f} bits a weight")
        for one, numbers in found.items():
            beyond = (numbers["memory"] - size) / 1e9
            memory = f"{numbers['memory'] / 1e9:.2f} GB, {beyond:.2f} beyond the file's own"
            print(f"{one}: {numbers['seconds']:.1f} s, {memory}")


if __name__ == "__main__":
    main()
