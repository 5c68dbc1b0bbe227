"""The batches of all members of a population, gathered on the device; what decides them is uploaded once an epoch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ticketzoo.data.order import whole_order
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Resident
from ticketzoo.training.forward import restored_generators, seed_generators

_CPU = torch.device("cpu")


class StackedBatches:
    """The batches of members with `seeds`: each has what its lone training would, in the same updates.

    The whole batches of an epoch are one kind, its last smaller one is another.

    Attributes:
        per_epoch: updates in an epoch.
        whole: whole batches in it.
        position: int64 [1] on the device: the update of the epoch that is due.
    """

    def __init__(self, resident: Resident, seeds: Sequence[int], batch_size: int, device: torch.device) -> None:
        self._resident, self._seeds, self._size, self._device = resident, seeds, batch_size, device
        self._examples, self._epoch = len(resident.tensors[0]), -1
        self.whole, self._left = divmod(self._examples, batch_size)
        self.per_epoch = self.whole + (self._left > 0)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        with restored_generators(_CPU):
            sample = self._decided(seeds[0], 0, first=1)
        self._tables = {name: self._allocated(values) for name, values in sample.items()}

    @property
    def kinds(self) -> list[bool]:
        """The kinds of batches that there are: True for whole ones."""
        return [True] * (self.whole > 0) + [False] * (self._left > 0)

    def go_to(self, epoch: int, position: int) -> bool:
        """Have `gather` give the batches at `position` of `epoch`. Returns whether the epoch is another than before."""
        other = epoch != self._epoch
        if other:
            with restored_generators(_CPU):
                decided = {seed: self._decided(seed, epoch) for seed in dict.fromkeys(self._seeds)}
            for name, (whole, rest) in self._tables.items():
                of_all = torch.stack([decided[seed][name] for seed in self._seeds])
                in_whole = self.whole * self._size
                if self.whole:
                    split = of_all[:, :in_whole].reshape(len(self._seeds), self.whole, self._size)
                    upload(split.transpose(0, 1), whole)
                if self._left:
                    upload(of_all[:, in_whole:], rest)
            self._epoch = epoch
        self.position.fill_(position)
        return other

    def gather(self, whole: bool) -> list[Tensor]:
        """Return the rows that are due, [members, b, ...] each; nothing comes from the CPU."""
        due = {
            name: (tables[0].index_select(0, self.position) if whole else tables[1]).flatten()
            for name, tables in self._tables.items()
        }
        rows = due.pop("rows")
        gathered = [tensor.index_select(0, rows) for tensor in self._resident.tensors]
        if self._resident.drawn is not None:
            gathered = self._resident.drawn.change(gathered, due)
        return [tensor.unflatten(0, (len(self._seeds), -1)) for tensor in gathered]

    def _decided(self, seed: int, epoch: int, first: int | None = None) -> dict[str, Tensor]:
        """Return the rows of an epoch, int64 [examples], and what is drawn for each; or of the `first` examples."""
        rows = next(whole_order(self._examples, self._examples, seed, epoch, epoch + 1))[:first]
        if self._resident.drawn is None:
            return {"rows": rows}
        drawn: list[dict[str, Tensor]] = []
        for position, batch in enumerate(rows.split(self._size)):
            seed_generators(_CPU, derive_seed(seed, "augment", epoch * self.per_epoch + position))
            drawn.append(self._resident.drawn.draw(len(batch)))
        return {"rows": rows} | {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}

    def _allocated(self, like: Tensor) -> tuple[Tensor, Tensor]:
        members = len(self._seeds)
        whole = torch.zeros(self.whole, members, self._size, dtype=like.dtype, device=self._device)
        return whole, torch.zeros(members, self._left, dtype=like.dtype, device=self._device)


def upload(values: Tensor, there: Tensor) -> None:
    """Copy `values`, on the CPU, into a tensor on the device, while the processor does other things."""
    values = values.contiguous()
    there.copy_(values.pin_memory() if there.is_cuda else values, non_blocking=True)
