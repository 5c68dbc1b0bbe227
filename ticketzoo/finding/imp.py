from collections.abc import Iterator

from ticketzoo.finding.method import Prune, Train
from ticketzoo.masks.masks import Masks


def iterative_magnitude_pruning(train: Train, prune: Prune, masks: Masks, rounds: int) -> Iterator[Masks]:
    """IMP with rewinding: train, prune, rewind, repeat (Frankle & Carbin 2019, section 2; Frankle et al. 2020, alg. 2).

    `train` rewinds: it starts every pruned level from the same early weights, or with learning-rate rewinding (Renda et
    al. 2020) from the weights just pruned. Yields the masks of levels 0 to `rounds`, each after its training.
    """
    trained = train(0, masks)
    yield masks
    for level in range(1, rounds + 1):
        masks = prune(trained, masks)
        trained = train(level, masks)
        yield masks
