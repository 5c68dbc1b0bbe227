"""A stream of tokens in rows, and batches along them that carry a model's state on."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ticketzoo.data.order import on_device
from ticketzoo.distributed import processes
from ticketzoo.errors import DataError, RunError


def in_rows(stream: Tensor, count: int) -> Tensor:
    """Return int32 [count, n]: `stream` cut into contiguous rows, without a rest that fills no column."""
    width = len(stream) // count
    return stream[: width * count].view(count, width)


def parts_of_row(stream: Tensor, count: int, length: int) -> int:
    """Return how many parts of `length` tokens to be said there are in each of `count` rows of `stream`.

    Raises:
        DataError: there is none.
    """
    parts = (len(stream) // count - 1) // length
    if parts < 1:
        what = f"{len(stream):,} tokens are too few for {count} rows, each of {length} tokens after a first one"
        raise DataError(f"training.batch_size: {what}: lower it or task.length, or give more text")
    return parts


@dataclass(frozen=True)
class Part:
    """A batch of `Carried`: int64 [b, length + 1], tokens of which all but the first of a row are to be said.

    The first of a row is the last one of the batch before.
    """

    tokens: Tensor
    carried: "Carried"

    def scores(self, model: nn.Module) -> tuple[Tensor, Tensor]:
        """Return scores [n, vocabulary] and the tokens [n] that are right, and carry the state of `model` on."""
        said = model(input_ids=self.tokens[:, :-1], state=self.carried.given())
        self.carried.take(said.state)
        return said.logits.flatten(0, 1), self.tokens[:, 1:].flatten()


class Carried:
    """Batches along the rows of a stream, epoch after epoch: each row of one goes on where it ended in the one before.

    So does the model, which starts from the state that it left: tensors [layers, b, ...], detached. It is zeros in the
    first batch of an epoch, and in the first one of all. Of several processes each has its share of the rows.

    Args:
        rows: int32 [b, n], all of them.
        length: number of tokens to be said in a row of a batch; a rest is left out.
        start: number of the first batch.
        stop: number after the last one.
        device: where batches are put.
    """

    def __init__(self, rows: Tensor, length: int, start: int, stop: int, device: torch.device) -> None:
        self._share = processes.share_of(len(rows))
        self._rows, self._length, self._device = self._share.of(rows), length, device
        self._steps, self._parts = iter(range(start, stop)), (rows.shape[1] - 1) // length
        self._state: tuple[Tensor, ...] = ()

    def __iter__(self) -> Iterator[Part]:
        return self

    def __next__(self) -> Part:
        place = next(self._steps) % self._parts
        if place == 0:
            self._state = ()
        tokens = self._rows[:, place * self._length : (place + 1) * self._length + 1]
        return Part(on_device(tokens.long(), self._device), self)

    def given(self) -> tuple[Tensor, ...] | None:
        """Return the state that the next batch starts from, of this process's rows; None for zeros."""
        mine = slice(self._share.start, self._share.stop)
        return tuple(tensor[:, mine].to(self._device).contiguous() for tensor in self._state) or None

    def take(self, state: tuple[Tensor, ...]) -> None:
        """Keep what a model left; of several processes all of them keep that of all rows.

        Raises:
            RunError: it is no tuple of tensors, which checkpoints hold.
        """
        if not isinstance(state, tuple) or not all(isinstance(tensor, Tensor) for tensor in state):
            what = f"the model gave a {type(state).__name__} as its state"
            raise RunError(f"task.carry_state: {what}, and a checkpoint holds tensors: give a tuple of them")
        self._state = tuple(self._of_all(tensor.detach()) for tensor in state)

    def _of_all(self, part: Tensor) -> Tensor:
        if len(self._rows) == self._share.total:
            return part
        layers, _, *rest = part.shape
        whole = torch.zeros(layers, self._share.total, *rest)
        whole[:, self._share.start : self._share.stop] = part.float().cpu()
        return processes.summed_tensor(whole).to(part.dtype)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state that the next batch starts from, of all rows: empty where that is zeros."""
        return {str(number): tensor for number, tensor in enumerate(self._state)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Start from what `state_dict` gave, on any number of processes."""
        self._state = tuple(state[str(number)] for number in range(len(state)))
