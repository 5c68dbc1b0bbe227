"""Check everything about a ticket that can be checked without its data set."""

from dataclasses import dataclass
from pathlib import Path

from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, check_file, file_entries, read_config
from ticketzoo.ticket.levels import empty_layers
from ticketzoo.ticket.stored import stored_in
from ticketzoo.ticket.ticket import Ticket


@dataclass(frozen=True)
class Check:
    """Something that was checked and holds: of which file, and what."""

    file: str
    holds: str

    def __str__(self) -> str:
        return f"{self.file}: {self.holds}"


def verify_ticket(folder: str | Path) -> list[Check]:
    """Check a ticket's sizes, digests, coverage, nesting, counts, weights, documents, and that it fits its model.

    Returns what was checked.

    Raises:
        TicketError: at the first damage, naming file, tensor and both values; ModelError for an architecture that
            this version does not know.
    """
    folder = Path(folder).absolute()
    config = read_config(folder)
    checks = [Check(CONFIG_FILE, f"format {config.format}, {len(config.levels)} levels, consistent counts and digests")]
    for name, entry in file_entries(config).items():
        check_file(folder, name, entry)
        checks.append(Check(name, f"{entry.bytes} bytes, sha256 {entry.sha256}"))
    for replicate in config.replicates:
        checks += _check_replicate(folder, config, replicate.seed)
    stored = stored_in(Files(folder), config)
    if "results.jsonl" in config.files:
        checks.append(Check("results.jsonl", f"{len(stored.results)} rows"))
    return checks


def _check_replicate(folder: Path, config: TicketConfig, seed: int) -> list[Check]:
    stored = stored_in(Files(folder), config)
    levels = stored.replicates[seed].levels
    covered = f"{len(levels.shapes)} parameters at {len(levels.levels)} levels"
    checks = [
        Check(f"seed-{seed}/masks.safetensors", f"covers {covered}, nested, counts as declared"),
        Check(f"seed-{seed}/masks.safetensors", f"masks have digest {levels.sha256()}"),
    ]
    sparsities = {entry.level: entry.sparsity for entry in config.levels}
    checks += [Check(f"seed-{seed}/masks.safetensors", f"NOTE: {line}") for line in empty_layers(levels, sparsities)]
    if config.rewind.kind == "packed":
        tensors = stored.replicates[seed].rewind
        checks.append(Check(f"seed-{seed}/rewind.safetensors", f"{len(tensors)} tensors, finite, digest as declared"))
        Ticket(config, config.levels[0].level, seed, stored).build()
        checks.append(Check(f"seed-{seed}", f"fits {config.architecture.name}"))
    return checks
