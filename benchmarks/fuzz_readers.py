"""Damage real ticket files at random and read them: `python benchmarks/fuzz_readers.py --mutants 200000`.

A mutant is a small ticket, of format 1 or 2, of which one file has a few bytes, numbers, keys, tensors, rows or lines
changed: ticket.json, the recipe of a transfer in it, masks, weights, values, results.jsonl, recipe.yaml or the card.
In six of ten, sizes and digests are put right again, those of files as well as those of masks and weights, so that
what is behind the digests is reached too. It is loaded, built, verified, listed, shown, judged, and its card is
written. The run passes if every one of these ends well or in an error of one line of our own; if what is loaded are
the original's masks and weights, or what ticket.json declares instead; if no file outside the ticket's folder is
opened; if the process grows by less than follows from the size of the files; and if verify refuses or notes every
verdict, sparsity of a row and line of a card that is not the original's.

`--state FILE` keeps what was counted so far, so that a run that was stopped goes on; `--only ranged` takes one ticket.
"""

import argparse
import copy
import hashlib
import io
import json
import random
import re
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ticketzoo import judge
from ticketzoo.errors import ModelError, TicketError
from ticketzoo.evaluation.evidence import ticket_card
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models import architecture_of, create_model, model_names, prunable_parameters
from ticketzoo.ticket import Found, Ticket, custom_architecture
from ticketzoo.zoo.summary import read_summary
from ticketzoo.zoo.verify import verify_ticket

KWARGS = {"num_classes": 2, "in_shape": [1, 2, 2], "width": 0.02}
WIDER = KWARGS | {"width": 0.5}
"""Of 8,200 weights: masks of fewer than 4,096 are not cut into regions where they are encoded as `range`."""
CONFIG = "ticket.json"
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
ROWS, RECIPE, CARD = "results.jsonl", "recipe.yaml", "README.md"
TRANSFER = """name: none-letters
tickets: [carried]
levels: [1, 4]
targets:
- name: letters
  task: {type: image-classification, dataset: {path: letters}}
training: {steps: 9it, batch_size: 8, optimizer: {name: sgd, lr: 0.1}}
arms: [ticket, dense, random_reinit, random_mask]
seeds: [0, 101, 102]
"""
"""The recipe of a transfer that the ticket `carried` keeps."""
BOMBS = [
    "[" * 30_000,
    "- " * 5000,
    "a0: &a0 [x, x]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)),
    "x: 0x" + "f" * 20_000,
    "| " * 20_000,
    "| level | sparsity |\n" + "| 1 | 0.5 |\n" * 5000,
    "\n" * 30_000,
    "`" * 30_000,
    "\t" * 30_000,
    "!" + "[" * 30_000,
    "## Verdict\n\n**" * 5000,
    "[a, " * 60 + "b" + "]" * 60,
]
LENGTHS = [0, 1, 8, 2**31, 2**32, 2**63, 2**64 - 1]
ODD: list[Any] = [None, True, [], {}, [[]], *NUMBERS, *TEXTS]
MOST_BYTES, MOST_PER_BYTE = 24 * 2**20, 64
"""A mutant may make the process grow by so many bytes, and by so many for each byte of its files."""


def draw_masks(densities: dict[int, float], seed: int = 0, nested: bool = True) -> dict[int, Masks]:
    """Random masks by level."""
    generator = torch.Generator().manual_seed(seed)
    levels: dict[int, Masks] = {level: {} for level in densities}
    for name, weights in prunable_parameters(create_model("lenet-300-100", seed=0, **KWARGS)).items():
        order = torch.randperm(weights.numel(), generator=generator)
        for level, density in densities.items():
            order = order if nested else torch.randperm(weights.numel(), generator=generator)
            mask = torch.zeros(weights.numel(), dtype=torch.bool)
            mask[order[: max(1, int(weights.numel() * density))]] = True
            levels[level][name] = mask.view(weights.shape)
    return levels


def uneven_masks(kwargs: dict[str, Any], seed: int = 0) -> dict[int, Masks]:
    """Masks whose rows and columns differ in density; the first two levels nest, the third does not."""
    generator = torch.Generator().manual_seed(seed)
    levels: dict[int, Masks] = {1: {}, 2: {}, 4: {}}
    for name, weights in prunable_parameters(create_model("lenet-300-100", seed=0, **kwargs)).items():
        rows, columns = (torch.rand(size, generator=generator) for size in weights.shape)
        for level, density in zip(levels, (0.9, 0.5, 0.5), strict=True):
            drawn = torch.rand(weights.shape, generator=generator)
            mask = drawn < density * rows[:, None] * columns
            mask[0, 0] = True
            levels[level][name] = mask & levels[1][name] if level == 2 else mask
    return levels


def make(name: str, replicates: list[Found], **keys: Any) -> Ticket:
    """A ticket of a LeNet of a few dozen weights."""
    fields: dict[str, Any] = {
        "architecture": architecture_of("lenet-300-100", KWARGS), "task": "image-classification",
        "source": {"dataset": "none"}, "pruning": {"method": "imp", "scope": "global", "rate": 0.5},
        "recipe_text": f"name: {name}\nmodel: {{name: lenet-300-100}}\nrates: [0.1, 0.2]\n",
    }  # fmt: skip
    bare = Ticket.create(name=name, replicates=replicates, **{**fields, **keys})
    fields |= {**keys, "results": list(rows_for(bare))}
    if name == "carried":
        other = [row | {"target": "letters"} for row in fields["results"] if row["level"] in (0, 1, 4)]
        fields["results"] = [*fields["results"], *other]
    measured = Ticket.create(name=name, replicates=replicates, **fields)
    return Ticket.create(name=name, replicates=replicates, verdict=judge(measured), **fields)


def rows_for(ticket: Ticket) -> Iterator[dict[str, Any]]:
    """Rows of dense, the ticket and two controls, on three seeds at every level."""
    seeds = sorted({*ticket.seeds, 101, 102, 103})[:3]
    sparsities = {(level.level, seed): ticket.at(level=level.level, seed=seed).sparsity
                  for level in ticket.levels for seed in ticket.seeds}  # fmt: skip
    kinds = [("dense", 0)] + [
        (arm, level.level) for level in ticket.levels for arm in ("ticket", "random_reinit", "random_mask")
    ]
    for arm, level in kinds:
        for seed in seeds:
            sparsity = (
                0.0 if arm == "dense" else sparsities.get((level, seed), sparsities.get((level, ticket.seeds[0])))
            )
            value = 0.9 + 0.001 * (seed % 7) - 0.01 * level * arm.startswith("random")
            labels = {"ticket": ticket.name, "level": level, "sparsity": sparsity, "arm": arm, "target": "none"}
            for metric, number in (("test_accuracy", value), ("test_loss", 1 - value)):
                yield labels | {"seed": seed, "draw": 0, "at": "final", "step": 9, "metric": metric, "value": number}


def tickets() -> dict[str, Ticket]:
    """Tickets that together have everything that the formats know."""
    model = create_model("lenet-300-100", seed=0, **KWARGS)
    state, nested = model.state_dict(), draw_masks({1: 0.5, 2: 0.34, 4: 0.2})
    signed = {name: torch.where(value < 0, -0.5, 0.5) if name in nested[1] else value for name, value in state.items()}
    whole = {name: mask.clone() for name, mask in nested[1].items()}
    for name, mask in whole.items():
        mask.fill_(True)
        if name == "fc1.weight":
            mask[1] = False
    whole["fc2.weight"][:, 1] = False
    layers = {"fc1.weight": {"consumers": ["fc2.weight"], "area": 1}}
    apart = [draw_masks({1: 0.3, 2: 0.6}, seed, nested=False) for seed in (1, 2)]
    apart[1][2]["fc1.weight"].view(-1)[0] ^= True  # another count
    return {
        "format-1": make("format-1", [Found(0, nested, state)]),
        "signed": make(
            "signed", [Found(seed, levels, signed) for seed, levels in enumerate(apart)], rewind_kind="signed",
            masked="frozen",
        ),
        "drawn": make(
            "drawn", [Found(seed, nested, draw_seed=seed) for seed in (3, 4)], rewind_kind="seed", use="as-is",
            files={"scores.txt": b"1 2 3"},
            derived={"method": "align", "parents": [{"name": "a", "mask_sha256": "a" * 64}], "arguments": {"to": 3}},
        ),
        "trained": make(
            "trained",
            [Found(0, nested, rewind_levels=dict.fromkeys(nested, state), values=dict.fromkeys([2, 4], signed))],
        ),
        "custom": make(
            "custom", [Found(0, {1: whole}, state)], architecture=custom_architecture(model),
            pruning={"method": "imp", "scope": "global", "structure": {"kind": "filters", "layers": layers}},
        ),
        "carried": make("carried", [Found(0, nested, state)]),
        "ranged": make(
            "ranged", [Found(3, uneven_masks(WIDER), draw_seed=3)], rewind_kind="seed",
            architecture=architecture_of("lenet-300-100", WIDER),
        ),
    }  # fmt: skip


class Mutator:
    """One mutant of the files of a ticket, the same for the same seed and number."""

    def __init__(self, files: dict[str, bytes], seed: int, number: int) -> None:
        self.files = files
        self.random = random.Random(f"{seed}/{number}")

    def mutant(self) -> tuple[str, dict[str, bytes], bool]:
        """Return what was done, the files, and whether digests are to be put right."""
        tensors = sorted(name for name in self.files if name.endswith(".safetensors"))
        documents = [ROWS, RECIPE, CARD]
        name = self.random.choice([CONFIG, CONFIG, *(self.random.choice(tensors) for _ in range(3)), *documents])
        of_config = [self.structure_of_json] + [self.transfers_of] * (b'"transfers"' in self.files[CONFIG])
        in_config = self.random.choice(of_config) if len(of_config) > 1 else self.structure_of_json
        own = {CONFIG: in_config, ROWS: self.rows_of, RECIPE: self.text_of, CARD: self.text_of}
        change = self.random.choice([self.bytes_of, own.get(name, self.header_of)])
        files = {**self.files, name: change(self.files[name])}
        told, honest = f"{name} {change.__name__}", self.random.random() < 0.6
        if honest and name != CONFIG:
            files[CONFIG] = redeclare(files[CONFIG], name, files[name])
        return told + ", declared" * honest, files, honest

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

    def transfers_of(self, content: bytes) -> bytes:
        """Change the recipe of a transfer in ticket.json as recipe.yaml is changed."""
        document = json.loads(content)
        document["transfers"] = [self.text_of(text.encode()).decode() for text in document["transfers"]]
        return json.dumps(document).encode()

    def rows_of(self, content: bytes) -> bytes:
        """Change, drop, repeat or swap rows."""
        rows = [json.loads(line) for line in content.splitlines()]
        for _ in range(self.random.choice([1, 1, 2, 3])):
            at = self.random.randrange(len(rows))
            match self.random.randrange(8):
                case 0 if len(rows) > 1:
                    del rows[at]
                case 1:
                    rows.insert(at, rows[self.random.randrange(len(rows))])
                case 2:
                    rows[at]["value"] = self.random.choice([0.0, 0.5, 0.99, -1, 1e300, *NUMBERS])
                case _:
                    self._change(rows[at])
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    def text_of(self, content: bytes) -> bytes:
        """Change a number or a word, or drop, double, swap or add a line."""
        lines, rng = content.decode().split("\n"), self.random
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                lines.insert(at, rng.choice(BOMBS))
            case 3:
                lines[at] += rng.choice([*TEXTS, "&a [*a]", ": {", "|", "**winning**"])
            case _:
                numbers = [found.span() for found in re.finditer(r"\d+", content.decode())]
                start, end = rng.choice(numbers)
                text = content.decode()
                return (text[:start] + str(rng.randrange(1000)) + text[end:]).encode()
        return "\n".join(lines).encode()

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
                    value[key] = copy.deepcopy(rng.choice(ODD))
            return


def keep_transfer(folder: Path) -> None:
    """Write the recipe of a transfer into ticket.json and onto the card, as `ticketzoo add --rows` does."""
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"transfers": [TRANSFER]}))
    ticket = Ticket.from_pretrained(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"verdict": judge(ticket).model_dump(mode="json")}))
    ticket = Ticket.from_pretrained(folder)
    empty, cost = ticket.empty_layers, {"trainings": 9}
    card = ticket_card(ticket.config, ticket.results, recipe_text=ticket.recipe_text, empty=empty, cost=cost)
    (folder / CARD).write_text(card)


def redeclare(config: bytes, name: str, content: bytes) -> bytes:
    """ticket.json with the size and sha256 that a file has now."""
    document = json.loads(config)
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    for files in [document["files"], *(replicate["files"] for replicate in document["replicates"])]:
        if name in files:
            files[name] = entry
    return json.dumps(document).encode()


def content_of(folder: Path) -> list[str]:
    """Digests, made anew, of the masks and weights of every level and replicate in `folder`."""
    ticket = Ticket.from_pretrained(folder)
    found = []
    for seed in ticket.seeds:
        for entry in ticket.levels:
            view = ticket.at(seed=seed, level=entry.level)
            trained = view.trained_state
            found += [masks_sha256(view.masks), state_sha256(view.rewind_state), trained and state_sha256(trained)]
    return [str(digest) for digest in found]


DIGESTS = [
    (re.compile(r"have digest (\w{64}), but ticket\.json says (\w{64})"), (2, 1)),
    (re.compile(r"mask_sha256: (\w{64}), but the replicates' digests give (\w{64})"), (1, 2)),
]
"""Messages that say which digest is stated and which would be right, and the numbers of these two groups."""


def outcome_of(folder: Path, truth: list[str], honest: bool) -> str:
    """`refused`, `equal`, or `other`: a ticket that reads well and honestly declares other content.

    Where `honest`, digests of masks and weights are put right in ticket.json until that is not what is wrong.
    """
    for _ in range(20):
        try:
            return "equal" if content_of(folder) == truth else "other"
        except (TicketError, ModelError) as error:
            _check_line(error)
            if not (honest and _put_right(folder / CONFIG, str(error))):
                return "refused"
    return "refused"


def _put_right(config: Path, message: str) -> bool:
    for pattern, (stated, right) in DIGESTS:
        if found := pattern.search(message):
            text = config.read_text()
            config.write_text(text.replace(found[stated], found[right]))
            return config.read_text() != text
    return False


class OpenedFiles:
    """Every path that was opened for reading or writing, as Python's audit hook sees it."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            self.paths.add(arguments[0])


OPENED = OpenedFiles()


class Weighed:
    """By how many bytes the process grew at most within a block, where the system tells."""

    def __enter__(self) -> "Weighed":
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on
        except OSError:
            self.before = None
            return self
        self.before = self._status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = 0 if self.before is None else max(0, self._status("VmHWM") - self.before)

    def _status(self, key: str) -> int:
        found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else 0


class Subject:
    """A ticket in a folder, to be damaged."""

    def __init__(self, ticket: Ticket, folder: Path) -> None:
        card = ticket_card(
            ticket.config,
            ticket.results,
            recipe_text=ticket.recipe_text,
            empty=ticket.empty_layers,
            cost={"trainings": 9},
        )
        encoding = "range" if ticket.name == "ranged" else None
        ticket.save_pretrained(folder, extras={CARD: card.encode()}, encoding=encoding)
        if ticket.name == "carried":
            keep_transfer(folder)
        paths = [path for path in folder.rglob("*") if path.is_file()]
        self.folder = folder
        self.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        self.truth, self.stated = content_of(folder), json.loads(self.files[CONFIG])
        self.dirty: set[str] = set()
        self.notes = self._verified()[1]
        for whole in (True, True, False):
            self._read_all(whole)  # what is imported or cached is not charged to a mutant

    def read(self, seed: int, number: int) -> tuple[str, int]:
        """Read a mutant: the outcome, and by how many bytes the process grew.

        Raises AssertionError or whatever a reader let through.
        """
        told, mutant, honest = Mutator(self.files, seed, number).mutant()
        changed = {name for name in mutant if mutant[name] != self.files[name]}
        for name in changed | self.dirty:
            (self.folder / name).write_bytes(mutant[name])
        self.dirty = changed | {CONFIG}
        OPENED.paths.clear()
        what = f"mutant {number} of seed {seed} ({self.folder.name}): {told}"
        try:
            with Weighed() as weighed:
                outcome = outcome_of(self.folder, self.truth, honest)
                verified, notes = self._verified()
                self._read_all(verified)
        except BaseException:
            print(what, file=sys.stderr)
            raise
        limit = MOST_BYTES + MOST_PER_BYTE * sum(map(len, mutant.values()))
        assert weighed.bytes < limit, f"{what}: took {weighed.bytes} bytes, may take {limit}"
        own = (str(self.folder), sys.prefix, sys.base_prefix, "/proc/self/", str(Path(__file__).parents[1]))
        assert not (outside := {path for path in OPENED.paths if not path.startswith(own)}), f"{what}: opened {outside}"
        if outcome == "other":  # allowed only where ticket.json declares other masks, weights, levels or parameters
            declared = (self.folder / CONFIG).read_bytes()
            assert declares_otherwise(declared, self.stated), f"{what}: a wrong ticket was loaded"
        if verified and notes <= self.notes:
            forged = self._forged()
            assert not forged, f"{what}: verify did not notice {forged}"
        if outcome != "refused" and not verified:
            outcome = "statement refused"
        elif outcome == "equal" and notes - self.notes:
            outcome = "noted"
        return outcome, weighed.bytes

    def _verified(self) -> tuple[bool, set[str]]:
        try:
            return True, {str(check) for check in verify_ticket(self.folder) if "NOTE" in str(check)}
        except (TicketError, ModelError) as error:
            _check_line(error)
            return False, set()

    def _read_all(self, verified: bool) -> None:
        """Ask what a user may ask of a ticket. Each is an answer or an error of our own."""
        for ask in (_shown, _built, _judged) if verified else (_shown, _built, _judged, _carded):
            try:
                ask(self.folder)
            except (TicketError, ModelError) as error:
                _check_line(error)

    def _forged(self) -> list[str]:
        """Statements of a ticket, verified without a note, that are not the original's."""
        found = []
        config = json.loads((self.folder / CONFIG).read_bytes())
        if _claims(config) != _claims(self.stated):
            found.append("another verdict")
        kept, stated = ([text.split() for text in of.get("transfers", [])] for of in (config, self.stated))
        if kept != stated:
            found.append("another recipe of a transfer")
        if ROWS in config.get("files", {}):
            for one, other in zip(_rows(self.files[ROWS]), _rows((self.folder / ROWS).read_bytes()), strict=False):
                here, stated = ({key: row.get(key) for key in ("level", "seed", "arm")} for row in (other, one))
                if here == stated and _rounded(one["sparsity"]) != _rounded(other.get("sparsity")):
                    found.append(f"another sparsity, {other.get('sparsity')}")
        card = {_words(line) for line in _stated((self.folder / CARD).read_text(errors="replace"))}
        original = {_words(line) for line in self.files[CARD].decode().splitlines()}
        found += [f"line {line!r}" for line in sorted(card - original)[:3]]
        return found


def _rows(content: bytes) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in io.BytesIO(content) if line.strip()]
    return [row for row in rows if isinstance(row, dict)]


def _words(line: str) -> str:
    return re.sub(r'load_ticket\("[\w./@-]+"', "load_ticket(", line.rstrip())


def _stated(card: str) -> list[str]:
    """The lines of a card, but for what it cost, which nothing else says."""
    parts = re.split(r"^(?=#)", card.replace("\r\n", "\n"), flags=re.MULTILINE)
    return [line for part in parts if not part.startswith("## Cost to find it\n") for line in part.split("\n")]


def _claims(config: dict[str, Any]) -> Any:
    verdict = config.get("verdict")
    if verdict is None or verdict["label"] == "not measured":
        return verdict and verdict["label"]
    keys = ("target", "level", "label", "seeds", "sparsity", "reason")
    levels = sorted(json.dumps([_rounded(level.get(key)) for key in keys]) for level in verdict["levels"])
    return [[_rounded(verdict.get(key)) for key in ("rule", "metric", "at", "label", "sparsity")], levels]


def _rounded(value: Any) -> Any:
    """Return a number to the places that verify compares."""
    return round(value, 8) if isinstance(value, float) else value


def _check_line(error: Exception) -> None:
    if "\n" in str(error) or "\x1b" in str(error) or len(str(error)) > 5000:
        raise AssertionError(f"not one harmless line: {error!r}") from error


def _shown(folder: Path) -> object:
    summary = read_summary(folder)
    return summary.cells(), json.dumps(summary.as_json(), allow_nan=False), summary.lines()


def _built(folder: Path) -> object:
    return Ticket.from_pretrained(folder).build(allow_empty=True)


def _carded(folder: Path) -> object:
    ticket = Ticket.from_pretrained(folder)
    return ticket_card(ticket.config, ticket.results, recipe_text=ticket.recipe_text)


def _judged(folder: Path) -> object:
    return judge(Ticket.from_pretrained(folder))


def fuzz(folder: Path, mutants: int, seed: int, state: Path | None = None, only: str | None = None) -> dict[str, Any]:
    """Read that many mutants of the tickets, or of the `only` one, made in `folder`."""
    model_names()  # imports torchvision, which a mutant's architecture would otherwise be charged for
    made = tickets()
    chosen = made if only is None else {only: made[only]}
    subjects = [Subject(ticket, folder / name) for name, ticket in chosen.items()]
    done: dict[str, Any] = {"seed": seed, "mutants": 0, "most_bytes_for_one": 0, "seconds": 0.0}
    if state and state.is_file():
        done = json.loads(state.read_text())
        assert done["seed"] == seed, f"{state} is of seed {done['seed']}"
    began = time.monotonic() - done["seconds"]
    for number in range(done["mutants"], mutants):
        outcome, size = subjects[number % len(subjects)].read(seed, number)
        done[outcome] = done.get(outcome, 0) + 1
        done |= {"mutants": number + 1, "most_bytes_for_one": max(done["most_bytes_for_one"], size)}
        if state and number % 500 == 499:
            done["seconds"] = time.monotonic() - began
            state.write_text(json.dumps(done))
    return done | {"seconds": round(time.monotonic() - began)}


def declares_otherwise(config: bytes, stated: dict[str, Any]) -> bool:
    """Tell whether a ticket.json declares another content, so that it is just another ticket."""
    document = json.loads(config)
    parts = ("levels", "mask_sha256", "pruning", "replicates", "rewind", "values", "masked", "architecture")
    return any(document.get(part) != stated.get(part) for part in parts)


def main() -> None:
    """Fuzz, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--only", metavar="NAME", help="one of the tickets")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    memory = Path("/dev/shm")  # writing a mutant takes a disk ten times as long as reading it takes us
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        figures = fuzz(Path(temporary), arguments.mutants, arguments.seed, arguments.state, arguments.only)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures | {"process_peak_mib": round(peak)}))


if __name__ == "__main__":
    main()
