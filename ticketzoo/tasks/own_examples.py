"""Examples of a user's own: read in batches, the same at every read, and known again by their content."""

import hashlib
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
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


@runtime_checkable
class Examples(Protocol):
    """A data set as torch has it: `len(examples)` pairs `examples[index]` of an input and a target."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


Array: TypeAlias = Tensor | np.ndarray[Any, Any]
Given: TypeAlias = Examples | tuple[Array, Array]
"""Examples as a user gives them: a data set, or arrays of inputs and targets, [n, ...] each."""
_NAMES = ("inputs", "targets")


def examples_of(given: Given, which: str) -> Examples:
    """Return a data set of pairs, of arrays or as it is. Raises DataError for what cannot be; `which` names it."""
    expected = "give tensors or numpy arrays (inputs, targets), [n, ...] each, or a data set of pairs"
    if isinstance(given, tuple) and any(isinstance(part, Tensor | np.ndarray) for part in given):
        if len(given) != 2 or not all(isinstance(part, Tensor | np.ndarray) and part.ndim for part in given):
            raise DataError(f"{which}: {expected}, not a tuple of {' and '.join(map(_kind_of, given))}")
        inputs, targets = (_tensor(part, f"{which}: {name}") for part, name in zip(given, _NAMES, strict=True))
        if len(inputs) != len(targets):
            raise DataError(f"{which}: has {len(inputs)} inputs and {len(targets)} targets: give as many of each")
        given = cast(Examples, TensorDataset(inputs, targets))
    if not isinstance(given, Sized) or not hasattr(given, "__getitem__"):
        raise DataError(f"{which}: {expected}, not {type(given).__name__}")
    if len(given) == 0:
        raise DataError(f"{which}: has no examples")
    pair = given[0]
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        example = f"an example must be a pair of an input and a target, not {_kind_of(pair)}"
        raise DataError(f"{which}: {example}: {expected}")
    few = list(range(min(len(given), _READ_TWICE)))
    if fingerprint_of([given], few) != fingerprint_of([given], few):
        how = "draw its random numbers from torch's, numpy's or Python's global generator, which are seeded"
        raise DataError(f"{which}: an example differs between two reads: {how}")
    return given


def _kind_of(value: object) -> str:
    """Return what a value is, for messages: "array [2, 3] float32", "list of 3"."""
    if isinstance(value, Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "array"
        return f"{kind} {list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return type(value).__name__ + size


def _tensor(part: Array, what: str) -> Tensor:
    if isinstance(part, Tensor):
        return part
    try:
        return torch.from_numpy(np.require(part, requirements=("C", "W")))
    except (TypeError, ValueError) as error:
        advice = "give numbers, such as float32 or int64"
        raise DataError(f"{what} are {_kind_of(part)}, which torch does not take: {advice}") from error


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


@dataclass
class NotFinite:
    """Examples of a split that hold NaN or infinite numbers: their count, and the first one's position."""

    count: int
    first: int


class Content(NamedTuple):
    """Digests of an example's input and target, 16 bytes each."""

    input: bytes
    target: bytes


def fingerprint_of(
    splits: list[Examples | None],
    few: list[int] | None = None,
    not_finite: dict[int, NotFinite] | None = None,
    contents: list[list[Content]] | None = None,
) -> str:
    """Return a digest of all examples, or of those numbered `few`, read in order.

    Args:
        splits: the examples.
        few: default all.
        not_finite: where those that hold NaN or infinite numbers are noted, by the position of their split.
        contents: where the digests of each split's examples are added, [n], in order; none of a split not there.
    """
    digest = hashlib.sha256()
    for split, examples in enumerate(splits):
        digest.update(b"split")
        of_split: list[Content] = []
        if contents is not None:
            contents.append(of_split)
        if examples is None:
            continue
        numbers = torch.arange(len(examples)) if few is None else torch.tensor(few)
        for chosen in numbers.split(EVALUATION_BATCH):
            inputs, targets = drawn(examples, chosen.tolist(), int(chosen[0]))
            parts = [*inputs.items()] if isinstance(inputs, Mapping) else [("input", inputs)]
            if contents is not None:
                pair = (_digests(part, len(chosen)) for part in (parts, [("target", targets)]))
                of_split += map(Content, *pair)
            bad = torch.zeros(len(chosen), dtype=torch.bool)
            for key, tensor in [*parts, ("target", targets)]:
                digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
                if tensor.is_floating_point() and len(tensor) == len(bad):
                    bad |= ~tensor.isfinite().reshape(len(bad), -1).all(1)
            if not_finite is not None and bad.any():
                noted = not_finite.setdefault(split, NotFinite(0, int(chosen[bad][0])))
                noted.count += int(bad.sum())
    return digest.hexdigest()


def _digests(parts: list[tuple[str, Tensor]], count: int) -> list[bytes]:
    """Return a digest of 16 bytes of each input, or target, of a batch, by names, dtypes, shapes and numbers."""
    digests = [hashlib.blake2b(digest_size=16) for _ in range(count)]
    for key, tensor in parts:
        content = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        size = len(content) // count
        for at, digest in enumerate(digests):
            digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape[1:])}".encode())
            digest.update(content[at * size : (at + 1) * size])
    return [digest.digest() for digest in digests]
