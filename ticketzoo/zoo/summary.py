"""A ticket as `list`, `search` and `info` show it; nothing of its masks and weights is fetched."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.evaluation.arms import DENSE
from ticketzoo.evaluation.backing import Backing, backing
from ticketzoo.evaluation.evidence import source_of
from ticketzoo.evaluation.metrics import DEFAULT, with_unit, words
from ticketzoo.evaluation.statistics import Group, Row, group_rows
from ticketzoo.ticket.card_kinds import kind_facts
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.effective import Effective
from ticketzoo.ticket.empty import empty_layers
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries
from ticketzoo.ticket.stored import stored_in
from ticketzoo.ticket.verdict_words import carried_words
from ticketzoo.util.text import counted, for_terminal, numbered, show_names, show_sparsity
from ticketzoo.zoo.effective import effective_of
from ticketzoo.zoo.found_lines import accuracy_line, found_lines, rewind_line, verdict_line

COLUMNS = ("name", "architecture", "source", "weights", "levels", "sparsity", "seeds", "dense", "verdict")


@dataclass(frozen=True)
class TicketSummary:
    """A ticket as people look at it: its configuration and its files, in a folder or on the Hub."""

    files: Files
    config: TicketConfig
    called: str | None = None
    """What it is loaded by, if not by its folder's name."""
    follow_paths: bool = False
    """Compute effective sparsities however long it takes."""

    @property
    def folder(self) -> Path:
        """The ticket's folder; of one on the Hub, the folder with what was fetched of it."""
        return self.files.folder

    @property
    def place(self) -> str:
        """Its folder, or `hub:owner/name@commit`."""
        return str(self.files.hub or self.folder)

    @property
    def title(self) -> str:
        """The name of its folder, or on the Hub the id, that it is loaded by."""
        return self.called or (self.files.hub.repo_id if self.files.hub else self.folder.name)

    @property
    def architecture(self) -> str:
        """The architecture's name as recipes write it."""
        architecture = self.config.architecture
        prefix = "" if architecture.library == "ticketzoo" else f"{architecture.library}/"
        return prefix + architecture.name

    @property
    def searchable(self) -> tuple[str, ...]:
        """The texts that `--filter` looks at, in lower case."""
        verdict = self.config.verdict.shown if self.config.verdict else ""
        texts = self.title, self.config.name, self.architecture, self.config.source.dataset, verdict
        return tuple(text.lower() for text in texts)

    def as_json(self) -> dict[str, Any]:
        """Return the document of `info --json`."""
        config = self.config.model_dump(mode="json")
        keys = ("name", "format", "library_version", "architecture", "task", "source", "pruning")
        return (
            {key: config[key] for key in keys}
            | {
                "folder": self.place,
                "prunable_parameters": self.config.prunable_weights,
                "levels": config["levels"],
                "seeds": [replicate.seed for replicate in self.config.replicates],
                "rewind": config["rewind"],
                "files": self._files(),
                "mask_sha256": self.config.mask_sha256,
                "verdict": config["verdict"],
                "verdict_backing": {"state": self.backing.state, "why": self.backing.why},
                "license": config["license"],
                "empty_layers": self.empty_layers,
                "effective": asdict(self.effective),
            }
            | {key: config[key] for key in ("masked", "use", "values", "derived") if key in config}
        )

    def cells(self) -> tuple[str, ...]:
        """Return the row of `list`, one text for each of `COLUMNS`."""
        levels = self.config.levels
        return tuple(
            for_terminal(text)
            for text in (
                self.title,
                self.architecture,
                self.config.source.dataset,
                f"{self.config.prunable_weights:,}",
                _range([str(level.level) for level in levels]),
                _range([show_sparsity(level.sparsity) for level in levels]),
                str(len(self.config.replicates)),
                self._dense(),
                self.claim,
            )
        )

    @property
    def claim(self) -> str:
        """The verdict's label and how far it holds, `winning at 0.931`, also on other data; and if only claimed."""
        verdict = self.config.verdict
        if verdict is None:
            return "not measured"
        where = f" at {show_sparsity(verdict.sparsity)}" if verdict.sparsity is not None else ""
        return f"{verdict.shown}{where}{carried_words(verdict)}{self.mark}"

    @property
    def mark(self) -> str:
        """The words after a verdict that the ticket's rows do not give: see `Backing.mark`."""
        return self.backing.mark

    @cached_property
    def backing(self) -> Backing:
        """The support of its rows for the verdict."""
        try:
            return backing(self.config, self._rows, lambda: stored_in(self.files, self.config).recipe_text)
        except (TicketError, RegistryError):
            return Backing("claimed", "its rows cannot be read")

    @cached_property
    def _rows(self) -> Sequence[Row]:
        return stored_in(self.files, self.config).results

    @property
    def empty_layers(self) -> list[str]:
        """A line for each parameter that is pruned away, or nearly. Of a ticket on the Hub they are not looked at."""
        if self.files.hub:
            return []
        try:
            return empty_layers(stored_in(self.files, self.config, masks_only=True), self.config)
        except TicketError:
            return ["the masks cannot be read"]

    @cached_property
    def effective(self) -> Effective:
        """The effective sparsities of the first replicate, where they are quickly computed or asked for."""
        return effective_of(self.files, self.config, whatever=self.follow_paths)

    def lines(self) -> list[str]:
        """Return the lines that `info` prints."""
        config = self.config
        source = f"{config.source.dataset}" + (f" at {config.source.revision}" if config.source.revision else "")
        parameters = counted(len(config.pruning.parameters), "parameter")
        facts = {
            "name": config.name,
            "folder": self.place,
            "architecture": f"{self.architecture} {json.dumps(config.architecture.kwargs)}",
            "task": f"{config.task} on {source}",
            "classes": show_names(config.source.classes or []),
            **found_lines(config),
            "prunable": f"{config.prunable_weights:,} weights in {parameters}",
            "not pruned": ", ".join(config.pruning.not_trained),
            "rewind": rewind_line(config),
            **{name: fact for name, fact in kind_facts(config) if fact},
            "replicates": numbered("seed", (replicate.seed for replicate in config.replicates)),
            "license": config.license or "not stated",
            "masks": f"sha256 {config.mask_sha256}",
            "verdict": verdict_line(config) + self.mark,
            "measured": self._accuracy(),
        }
        lines = [f"{name:<13} {for_terminal(value)}" for name, value in facts.items() if value]
        labels = self._labels()
        lines += ["", f"{'level':>5}  {'sparsity':>8}  {'kept':>12}  verdict"]
        for entry in config.levels:
            shown, label = show_sparsity(entry.sparsity), for_terminal("; ".join(labels.get(entry.level, ())))
            lines.append(f"{entry.level:>5}  {shown:>8}  {entry.kept_in_words:>12}  {label}".rstrip())
        lines += [f"{'' if number else 'paths':<13} {line}" for number, line in enumerate(self.effective.lines())]
        return lines + [f"empty layer   {for_terminal(line)}" for line in self.empty_layers]

    def _labels(self) -> dict[int, list[str]]:
        """Return the label of each level on its source, then those on other data with the target's name."""
        verdict, found = self.config.verdict, dict[int, list[str]]()
        source = source_of(self.config, ()) if verdict and verdict.transfer else None
        levels = sorted(verdict.levels if verdict else (), key=lambda level: level.target != source)
        for level in levels:
            where = f"on {level.target} " * (source is not None and level.target != source)
            found.setdefault(level.level, []).append(f"{where}{level.label}")
        return found

    def _files(self) -> dict[str, dict[str, Any]]:
        """Return the size and digest by path: as they are in a folder, as ticket.json declares them on the Hub."""
        if self.files.hub:
            return {name: entry.model_dump() for name, entry in file_entries(self.config).items()}
        beside = [self.folder / "README.md", *sorted(self.folder.glob("*.png"))]
        files = [self.folder / name for name in (CONFIG_FILE, *file_entries(self.config))]
        paths = [path for path in (*files, *beside) if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): _size_and_digest(path) for path in paths}

    def _accuracy(self) -> str:
        try:
            return accuracy_line(self.config, self._rows)
        except (TicketError, RegistryError):
            return ""

    def _dense(self) -> str:
        """Return the dense network's result, or "unreadable" for damaged rows."""
        try:
            groups = group_rows(self._rows)
            source = source_of(self.config, self._rows)
        except (TicketError, RegistryError):
            return "unreadable"
        dense = [one for one in groups if one.key.arm == DENSE and source in (None, one.key.target)]
        return _result(dense[0]) if dense else ""


def read_summary(where: Path | Files, *, follow_paths: bool = False) -> TicketSummary:
    """Return the summary of a ticket in a folder or anywhere else.

    Raises:
        TicketError: a missing or damaged ticket.json.
    """
    files = where if isinstance(where, Files) else Files(where)
    return TicketSummary(files, files.config(), follow_paths=follow_paths)


def _result(group: Group) -> str:
    """Return its mean, such as "97.81%"; of another metric than accuracy with its name: "F1 88.13%"."""
    value = with_unit(group.metric, group.summary.mean)
    return value if group.metric == DEFAULT else f"{words(group.metric).removeprefix('test ')} {value}"


def _size_and_digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _range(values: list[str]) -> str:
    """Return the first and the last, or the one that there is."""
    return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"
