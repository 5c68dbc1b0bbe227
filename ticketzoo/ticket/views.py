"""Choice of the packaged level and replicate that a user gets."""

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import TicketConfig

NEAR = 0.05
"""How far the nearest packaged level may be from the sparsity asked for."""


def choose_level(config: TicketConfig, level: int | None, sparsity: float | None) -> int:
    """Return the packaged level asked for, nearest to the sparsity asked for, or by default the sparsest good one.

    Good is what the verdict calls winning or matching; where there is none, the sparsest level of all.

    Raises:
        TicketError: no such level is packaged, or none within 0.05 of that sparsity; the message lists the levels.
    """
    if level is not None and sparsity is not None:
        raise TicketError(f"'{config.name}': give a level or a sparsity, not both")
    if level is not None:
        if level not in {entry.level for entry in config.levels}:
            raise TicketError(f"'{config.name}' has no level {level}: choose from {_listed(config)}")
        return level
    if sparsity is not None:
        nearest = min(config.levels, key=lambda entry: abs(entry.sparsity - sparsity))
        if not abs(nearest.sparsity - sparsity) <= NEAR:
            within = f"no level within {NEAR} of sparsity {sparsity}"
            raise TicketError(f"'{config.name}' has {within}: choose from {_listed(config)}")
        return nearest.level
    judged = config.verdict.levels if config.verdict else []
    good = {entry.level for entry in judged if entry.label in ("winning", "matching")}
    packaged = [entry.level for entry in config.levels]
    return max(good.intersection(packaged), default=packaged[-1])


def choose_seed(config: TicketConfig, seed: int | None) -> int:
    """Return the seed of a replicate; the first by default.

    Raises:
        TicketError: there is no such seed; the message lists the seeds.
    """
    seeds = [replicate.seed for replicate in config.replicates]
    if seed is not None and seed not in seeds:
        raise TicketError(f"'{config.name}' has no replicate of seed {seed}: choose from {', '.join(map(str, seeds))}")
    return seeds[0] if seed is None else seed


def _listed(config: TicketConfig) -> str:
    return ", ".join(f"{entry.level} (sparsity {entry.sparsity:.3f})" for entry in config.levels)
