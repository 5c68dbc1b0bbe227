"""Choices of rows: seeded test and validation shares, balanced subsets, even samples."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from ticketzoo.seeds import derive_seed


def stratified_share(labels: Tensor, share: float, seed: int) -> Tensor:
    """Return bool [n]: round(share * n) rows, each class in proportion, drawn from `seed`."""
    rank = _rank_in_class(labels, derive_seed(seed, "test"))
    size = labels.bincount()[labels]
    return _lowest((rank + 0.5) / size, round(share * len(labels)))


def stratified_fold(labels: Tensor, fold: int, of: int) -> Tensor:
    """Return bool [n]: the rows of one of `of` parts, which follow from labels and `of` alone.

    Parts are disjoint and together all rows. Of a class, and in all, they differ by one row at most.
    """
    rank = _rank_in_class(labels, derive_seed(0, "folds"))
    size = labels.bincount()
    before = size.cumsum(0) - size
    return (before[labels] + rank) % of == fold


def random_share(count: int, chosen: int, seed: int, what: str = "validation") -> Tensor:
    """Return bool [count]: `chosen` rows, uniformly, drawn from `seed` for `what`; more contain the fewer."""
    generator = torch.Generator().manual_seed(derive_seed(seed, what))
    return _lowest(torch.randperm(count, generator=generator), chosen)


def balanced_subset(labels: Tensor, count: int, seed: int) -> Tensor:
    """Return bool [n]: `count` rows, classes as equal as they can be; a larger count contains a smaller one's rows."""
    return _lowest(_turn(labels, seed), count)


def balanced_batches(labels: Tensor, batch_size: int, seed: int, *, per_class: int) -> Iterator[Tensor]:
    """Yield int64 [b] without end: rows of each batch, classes as equal as they can be, in an order drawn from `seed`.

    The first batch has the first examples of each class in a random order of the class; the next go on from there. All
    rows come once before any comes again.

    Args:
        labels: int64 [n].
        batch_size: rows in a batch, at most.
        seed: of the order.
        per_class: rows of a class in a batch, at most, where the classes have as many.
    """
    size = min(batch_size, per_class * len(labels.unique()))
    for epoch in itertools.count():
        yield from _turn(labels, derive_seed(seed, "balanced", epoch)).argsort(stable=True).split(size)


def evenly_spread(count: int, at_most: int) -> Tensor:
    """Return int64: `at_most` of the rows 0..count-1 (or all if there are fewer), evenly spaced from 0."""
    chosen = min(count, at_most)
    return torch.arange(chosen) * count // max(chosen, 1)


def _turn(labels: Tensor, seed: int) -> Tensor:
    """Return int64 [n]: when each row's turn comes, if classes take turns and draw at random from their rows."""
    rank = _rank_in_class(labels, derive_seed(seed, "examples"))
    turn = torch.Generator().manual_seed(derive_seed(seed, "examples", "turn"))
    class_turn = torch.randperm(int(labels.max()) + 1, generator=turn)
    return rank * len(class_turn) + class_turn[labels]


def _rank_in_class(labels: Tensor, seed: int) -> Tensor:
    """Return int64 [n]: place of each row in a random order of its class, from 0."""
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    size = labels.bincount()
    first = size.cumsum(0) - size
    rank = torch.empty_like(labels)
    rank[by_class] = torch.arange(len(labels)) - first[labels[by_class]]
    return rank


def _lowest(key: Tensor, count: int) -> Tensor:
    chosen = torch.zeros(len(key), dtype=torch.bool)
    chosen[key.argsort(stable=True)[:count]] = True
    return chosen
