"""Examples of a user's own: read in batches, the same at every read, and known again by their content."""

import hashlib
from collections.abc import Iterator, Mapping, Sized
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import TensorDataset, default_collate

from ticketzoo.data.order import on_device
from ticketzoo.errors import DataError
from ticketzoo.util.random_state import seeded

EVALUATION_BATCH = 256
"""Examples that are evaluated together."""

_READ_TWICE = 4
"""Examples that are read twice to see whether they are the same again."""


class Examples(Protocol):
    """A data set as torch has it: `len(examples)` pairs `examples[index]` of an input and a target."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def examples_of(given: Examples | tuple[Tensor, Tensor], which: str) -> Examples:
    """Return a data set of pairs, of tensors or as it is. Raises DataError for what cannot be; `which` names it."""
    if isinstance(given, tuple) and all(isinstance(part, Tensor) for part in given):
        if len({len(part) for part in given}) != 1:
            raise DataError(f"{which}: has {' and '.join(str(len(part)) for part in given)} inputs and targets")
        given = cast(Examples, TensorDataset(*given))
    if not isinstance(given, Sized) or not hasattr(given, "__getitem__"):
        raise DataError(f"{which}: give tensors (inputs, targets) or a data set of pairs, not {type(given).__name__}")
    if len(given) == 0:
        raise DataError(f"{which}: has no examples")
    pair = given[0]
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"{which}: an example must be a pair of an input and a target, not {type(pair).__name__}")
    few = list(range(min(len(given), _READ_TWICE)))
    if fingerprint_of([given], few) != fingerprint_of([given], few):
        how = "draw its random numbers from torch's, numpy's or Python's global generator, which are seeded"
        raise DataError(f"{which}: an example differs between two reads: {how}")
    return given


def drawn(examples: Examples, chosen: list[int], seed: int) -> tuple[Any, Tensor]:
    """Return a batch of examples, the random numbers that they draw from `seed`, in the types that networks take."""
    with seeded(seed):
        inputs, targets = _collated(examples, chosen)
    inputs = {key: _single(value) for key, value in inputs.items()} if isinstance(inputs, Mapping) else _single(inputs)
    return inputs, _single(targets) if targets.is_floating_point() else targets.long()


def _single(tensor: Tensor) -> Tensor:
    return tensor.to(torch.get_default_dtype()) if tensor.dtype == torch.float64 else tensor


def _collated(examples: Examples, chosen: list[int]) -> tuple[Any, Tensor]:
    if isinstance(examples, TensorDataset):
        inputs, targets = examples.tensors
        return inputs[chosen], targets[chosen]
    inputs, targets = default_collate([tuple(examples[index]) for index in chosen])
    return inputs, torch.as_tensor(targets)


def batches_of(examples: Examples) -> Iterator[tuple[Any, Tensor]]:
    """Yield all examples in order, in batches, as evaluation reads them."""
    for chosen in torch.arange(len(examples)).split(EVALUATION_BATCH):
        yield drawn(examples, chosen.tolist(), int(chosen[0]))


def moved(batch: tuple[Any, Tensor], device: torch.device) -> tuple[Any, Tensor]:
    """Return a batch on `device`."""
    inputs, targets = batch
    if isinstance(inputs, Mapping):
        return {key: on_device(value, device) for key, value in inputs.items()}, on_device(targets, device)
    return on_device(inputs, device), on_device(targets, device)


def fingerprint_of(splits: list[Examples | None], few: list[int] | None = None) -> str:
    """Return a digest of all examples, or of those numbered `few`, read in order."""
    digest = hashlib.sha256()
    for examples in splits:
        digest.update(b"split")
        if examples is None:
            continue
        numbers = torch.arange(len(examples)) if few is None else torch.tensor(few)
        for chosen in numbers.split(EVALUATION_BATCH):
            inputs, targets = drawn(examples, chosen.tolist(), int(chosen[0]))
            parts = inputs.items() if isinstance(inputs, Mapping) else [("input", inputs)]
            for key, tensor in [*parts, ("target", targets)]:
                digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
