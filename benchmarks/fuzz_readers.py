"""Damage real ticket files at random and read them: `python benchmarks/fuzz_readers.py --mutants 200000`.

A mutant is a small ticket of which one file has a few bytes, numbers, keys or tensors changed; in half of those of the
tensor files, size and digest are put right again, so that the readers behind the digests are reached too. It passes if
reading it ends in TicketError or ModelError, or gives the original's masks and weights, or what ticket.json declares
instead; if it opens no file outside its folder; and, looked at in one of 16, if it takes no memory out of proportion.
"""

import argparse
import collections
import hashlib
import json
import random
import resource
import struct
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import torch

from ticketzoo.errors import ModelError, TicketError
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.models import architecture_of, create_model, prunable_parameters
from ticketzoo.ticket import Found, Ticket

KWARGS = {"num_classes": 2, "in_shape": [1, 2, 2], "width": 0.02}
MASKS, REWIND, CONFIG = "seed-0/masks.safetensors", "seed-0/rewind.safetensors", "ticket.json"
NUMBERS = [0, -1, 1, 2, 255, 2**31, 2**40, 2**53, 2**63, 2**64, -(2**63), 1e308, 0.5, 1e-300]
TEXTS = [
    "",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "a\0b",
    "\x1b[31m",
    "\u202e" * 40,
    "fc1.weight",
    "a" * 5000,
]
LENGTHS = [0, 1, 8, 2**31, 2**32, 2**63, 2**64 - 1]
ODD: list[Any] = [None, True, [], {}, [[]], *NUMBERS, *TEXTS]
MOST_BYTES = 8 * 2**20


def make_folder(folder: Path) -> Path:
    """A ticket of a few dozen weights: three levels, one replicate."""
    model = create_model("lenet-300-100", seed=0, **KWARGS)
    generator = torch.Generator().manual_seed(0)
    levels: dict[int, dict[str, torch.Tensor]] = {1: {}, 2: {}, 4: {}}
    for name, weights in prunable_parameters(model).items():
        order = torch.randperm(weights.numel(), generator=generator)
        for level, masks in levels.items():
            mask = torch.zeros(weights.numel(), dtype=torch.bool)
            mask[order[: max(1, weights.numel() // (level + 1))]] = True
            masks[name] = mask.view(weights.shape)
    ticket = Ticket.create(
        name="fuzzed", architecture=architecture_of("lenet-300-100", KWARGS), task="image-classification",
        source={"dataset": "none"}, pruning={"method": "imp", "scope": "global", "rate": 0.5},
        replicates=[Found(0, levels, model.state_dict())], recipe_text="name: fuzzed\n", results=[{"value": 0.5}],
    )  # fmt: skip
    return ticket.save_pretrained(folder)


class Mutator:
    """Mutants of the files of one ticket, the same for the same seed."""

    def __init__(self, files: dict[str, bytes], seed: int) -> None:
        self.files = files
        self.random = random.Random(seed)

    def mutant(self) -> tuple[str, dict[str, bytes]]:
        """What was done, and the files."""
        name = self.random.choice([MASKS, REWIND, CONFIG, CONFIG])
        kinds = [self.bytes_of, self.structure_of_json if name == CONFIG else self.header_of]
        change = self.random.choice(kinds)
        files = {**self.files, name: change(self.files[name])}
        told = f"{name} {change.__name__}"
        if name != CONFIG and self.random.random() < 0.5:
            files[CONFIG] = redeclare(files[CONFIG], name, files[name])
            told += ", declared"
        return told, files

    def bytes_of(self, content: bytes) -> bytes:
        """Flip, drop, double, cut or append bytes."""
        data, rng = bytearray(content), self.random
        for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
            at = rng.randrange(len(data) + 1)
            match rng.randrange(6):
                case 0 | 1 if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
                case 2:
                    del data[at : at + rng.randrange(1, 16)]
                case 3:
                    data[at:at] = data[at : at + rng.randrange(1, 64)]
                case 4:
                    data[at : at + 8] = struct.pack("<Q", rng.choice([*LENGTHS, len(data)]))
                case _:
                    data = data[:at] if rng.random() < 0.3 else data + rng.randbytes(rng.randrange(1, 32))
        return bytes(data)

    def structure_of_json(self, content: bytes) -> bytes:
        """Change, drop, rename or copy values anywhere in a JSON document."""
        document = json.loads(content)
        for _ in range(self.random.choice([1, 1, 2, 3])):
            self._change(document)
        return json.dumps(document).encode()

    def header_of(self, content: bytes) -> bytes:
        """Change the JSON header of a safetensors file, its length put right."""
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        for _ in range(self.random.choice([1, 1, 2])):
            self._change(header)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    def _change(self, value: Any) -> None:
        rng = self.random
        while isinstance(value, dict | list) and value:
            key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
            inner = value[key]
            if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
                value = inner
                continue
            match rng.randrange(6):
                case 0:
                    del value[key]
                case 1 if isinstance(value, dict):
                    value[rng.choice(TEXTS)] = value.pop(key)
                case 2 if isinstance(inner, int | float) and not isinstance(inner, bool):
                    value[key] = inner + rng.choice([-1, 1, 8, 0.5, -inner])
                case 3 if isinstance(value, list):
                    value.insert(0, inner)
                case _:
                    value[key] = rng.choice(ODD)
            return


def redeclare(config: bytes, name: str, content: bytes) -> bytes:
    """ticket.json with the size and sha256 that a file has now."""
    document = json.loads(config)
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    document["replicates"][0]["files"][name] = entry
    return json.dumps(document).encode()


def content_of(folder: Path) -> tuple[str, str]:
    """Digests, made anew, of the masks of every level and of the weights in `folder`."""
    ticket = Ticket.from_pretrained(folder)
    masks = [masks_sha256(ticket.at(level=entry.level).masks) for entry in ticket.levels]
    weights = state_sha256(ticket.at(level=ticket.levels[0].level).rewind_state)
    assert ticket.results is not None
    return hashlib.sha256("".join(masks).encode()).hexdigest(), weights


def outcome_of(folder: Path, truth: tuple[str, str]) -> str:
    """`refused`, `equal`, or `other`: a ticket that reads well and honestly declares other content."""
    try:
        return "equal" if content_of(folder) == truth else "other"
    except (TicketError, ModelError) as error:
        if "\n" in str(error) or "\x1b" in str(error):
            raise AssertionError(f"not one harmless line: {error!r}") from error
        return "refused"


class OpenedFiles:
    """Every path that was opened for reading or writing, as Python's audit hook sees it."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            self.paths.add(arguments[0])


def fuzz(folder: Path, mutants: int, seed: int) -> dict[str, Any]:
    """Read that many mutants of the ticket in `folder`; raises AssertionError or whatever a reader let through."""
    names = [CONFIG, MASKS, REWIND, "recipe.yaml", "results.jsonl"]
    files = {name: (folder / name).read_bytes() for name in names}
    truth, stated = content_of(folder), json.loads(files[CONFIG])
    mutator, counts, largest = Mutator(files, seed), collections.Counter[str](), 0
    opened = OpenedFiles()
    dirty: set[str] = set()
    for number in range(mutants):
        told, mutant = mutator.mutant()
        changed = {name for name in names if mutant[name] != files[name]}
        for name in changed | dirty:
            (folder / name).write_bytes(mutant[name])
        dirty = changed
        opened.paths.clear()
        weighed = number % 16 == 0
        if weighed:
            tracemalloc.start()
        try:
            outcome = outcome_of(folder, truth)
        except BaseException:
            print(f"mutant {number} of seed {seed}: {told}", file=sys.stderr)
            raise
        if weighed:
            largest = max(largest, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert largest < MOST_BYTES, f"mutant {number}: {told}: took {largest} bytes"
        outside = {path for path in opened.paths if not path.startswith((str(folder), sys.prefix, sys.base_prefix))}
        assert not outside, f"mutant {number}: {told}: opened {outside}"
        if outcome == "other":  # allowed only where ticket.json declares other masks, weights, levels or parameters
            assert declares_otherwise(mutant[CONFIG], stated), f"mutant {number}: {told}: a wrong ticket was loaded"
        counts[outcome] += 1
    return {**counts, "most_bytes_for_one": largest}


def declares_otherwise(config: bytes, stated: dict[str, Any]) -> bool:
    """Whether a ticket.json declares another content, so that it is just another ticket."""
    document = json.loads(config)
    parts = ("levels", "mask_sha256", "pruning", "replicates", "rewind")
    return any(document.get(part) != stated[part] for part in parts)


def main() -> None:
    """Fuzz, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    memory = Path("/dev/shm")  # writing a mutant takes a disk ten times as long as reading it takes us
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        began = time.monotonic()
        counts = fuzz(make_folder(Path(temporary, "ticket")), arguments.mutants, arguments.seed)
        seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"mutants": arguments.mutants, "seed": arguments.seed, **counts}
    print(json.dumps(figures | {"seconds": round(seconds), "process_peak_mib": round(peak)}))


if __name__ == "__main__":
    main()
