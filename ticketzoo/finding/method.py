"""What a method of finding tickets is made of."""

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from ticketzoo.masks.masks import Masks

Train = Callable[[int, Masks], Mapping[str, Tensor]]
"""`train(level, masks)`: rewind, put the masks on, train to the end, return the trained weights."""

Prune = Callable[[Mapping[str, Tensor], Masks], Masks]
"""`prune(trained, masks)`: the masks without the least important of their survivors."""

Method = Callable[[Train, Prune, Masks, int], Iterator[Masks]]
"""`method(train, prune, dense_masks, rounds)`: yields the masks of levels 0 to `rounds`."""
