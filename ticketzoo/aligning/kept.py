"""Alignments that a store keeps: found once for each pair of states."""

from ticketzoo.aligning.alignment import ALIGNMENTS, Network
from ticketzoo.aligning.permutation import Permutations, random_permutations
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.state import State
from ticketzoo.runs.plan import Unknown
from ticketzoo.runs.store import Store


def kept_alignment(store: Store, way: str, network: Network, target: State, moved: State) -> Permutations:
    """Return the permutations that bring `moved` near `target`; of weights that a plan does not know, any others.

    Args:
        store: keeps them.
        way: a name in `ALIGNMENTS`.
        network: of both states.
        target: stays as it is.
        moved: whose units are moved.

    Raises:
        RunError: as `Store.remember` does.
    """
    if isinstance(target, Unknown) or isinstance(moved, Unknown):
        return random_permutations(network.groups, network.seed)
    specification = {
        "align": way,
        "architecture": network.architecture,
        "moved": state_sha256(moved),
        "target": state_sha256(target),
        "task": network.task.identity,
        "batch_size": network.batch_size,
        "seed": network.seed,
    }
    make = ALIGNMENTS[way].make
    return store.remember("alignment", specification, lambda: make(network, target, moved))
