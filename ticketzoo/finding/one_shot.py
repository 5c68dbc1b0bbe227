from collections.abc import Iterator

from ticketzoo.finding.method import Prune, Train
from ticketzoo.masks.masks import Masks


def one_shot_pruning(train: Train, prune: Prune, masks: Masks, rounds: int) -> Iterator[Masks]:
    """One-shot pruning: every level's mask comes from the dense trained weights (Frankle & Carbin 2019, section 2).

    Yields the masks of levels 0 to `rounds`, with IMP's densities, each after its training.
    """
    dense = train(0, masks)
    yield masks
    for level in range(1, rounds + 1):
        masks = prune(dense, masks)
        train(level, masks)
        yield masks
