"""The match of one replicate's hidden units in another's dense network, of a finished run."""

import torch

from ticketzoo.aligning import ALIGNMENTS, Network
from ticketzoo.aligning.kept import kept_alignment
from ticketzoo.aligning.permutation import permuted
from ticketzoo.connecting.kept import KeptCells, KeptRun, final_state
from ticketzoo.deriving.align import MOVED, OWN, Match
from ticketzoo.errors import RunError
from ticketzoo.finding.method import Start
from ticketzoo.finding.run import Replicate
from ticketzoo.models import create_from_architecture
from ticketzoo.models.unit_groups import unit_groups
from ticketzoo.runs.progress import Progress


def matched_units(
    run: KeptRun,
    seed: int,
    to_seed: int,
    by: str,
    *,
    keep_weights: bool = False,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> Match:
    """Match the units of the dense network of `seed` with those of `to_seed`, once for all.

    Args:
        run: finished, of both seeds.
        seed: of the replicate whose units are moved.
        to_seed: of the replicate that they are moved to.
        by: name of an alignment.
        keep_weights: whether to train from the weights of `seed`, with their units moved, in place of those of
            `to_seed`.
        device: where to compute.
        progress: told how it goes.

    Raises:
        RunError: a seed or a training is not there, an unknown alignment, or levels that start from weights of their
            own.
        ModelError: the network's units cannot be put in another order.
    """
    run.seeds([seed, to_seed])
    if seed == to_seed:
        raise RunError(f"--to-seed: {seed} is the replicate itself; choose another of {run.ticket.seeds}")
    make = ALIGNMENTS[by].name
    with KeptCells(run.cells, device=device, progress=progress) as store:
        networks = run.opened(store)
        one, two = networks.replicate(seed), networks.replicate(to_seed)
        architecture = networks.search.model.architecture
        groups = unit_groups(create_from_architecture(architecture, seed=0))
        network = Network(architecture, groups, run.task, run.recipe.training.batch_size, seed, store.device)
        order = kept_alignment(store, make, network, final_state(two, 0), final_state(one, 0))
        start = _start(run, one if keep_weights else two)
        state = permuted(start.state, groups, order) if keep_weights else dict(start.state)
    return Match(seed, to_seed, by, groups, order, state, start.step, MOVED if keep_weights else OWN)


def _start(run: KeptRun, replicate: Replicate) -> Start:
    """Return what all levels of a replicate start from. Raises RunError where they do not start alike."""
    starts = [level.start for level in replicate.found[1:]]
    if any(start != starts[-1] for start in starts):
        raise RunError(f"{run.folder}: levels start from weights of their own: only tickets of one start are aligned")
    return starts[-1]
