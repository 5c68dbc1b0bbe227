"""Held-out examples of a user's own that are trained on, too: a remark, or an error if they are a slice of train."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ticketzoo.data.remarks import Remarks
from ticketzoo.errors import DataError
from ticketzoo.tasks.own_examples import Content


@dataclass(frozen=True)
class Copies:
    """Held-out examples whose inputs are those of examples to train on.

    Attributes:
        counts: by the name of the held-out split: how many there are, and how many examples it has.
        test_from: the training example from which on the test split is train, inputs and targets in the same order;
            None where it is no slice of it.
    """

    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    test_from: int | None = None

    @classmethod
    def among(cls, train: Sequence[Content], held_out: Mapping[str, Sequence[Content]]) -> "Copies":
        """Count them, by the digests of examples, [n] each."""
        trained = {one.input for one in train}
        found = {split: sum(one.input in trained for one in contents) for split, contents in held_out.items()}
        counts = {split: (count, len(held_out[split])) for split, count in found.items() if count}
        return cls(counts, _start_in(train, held_out.get("test", ())))

    def sentences(self) -> list[str]:
        """Return what a warning and the card say of each split that has some."""
        purposes = {"validation": "validate", "test": "test"}
        return [
            f"{count:,} of the {total:,} examples to {purposes[split]} on are trained on, too"
            for split, (count, total) in self.counts.items()
        ]

    def check(self, name: str) -> None:
        """Warn of them; `name` is that of the data.

        Raises:
            DataError: those to test on are the training examples, or a slice of them in the same order.
        """
        if self.test_from is not None:
            _, total = self.counts["test"]
            same = f"are those of train from example {self.test_from} on, in the same order"
            advice = "give others, or a function evaluate(model) if that is meant"
            raise DataError(f"evaluate: all {total:,} examples {same}: {advice}")
        remarks = Remarks()
        for sentence in self.sentences():
            remarks.add(sentence)
        remarks.log(name)


def _start_in(train: Sequence[Content], part: Sequence[Content]) -> int | None:
    """Return where in `train` the examples of `part` stand one after another; None where they do not."""
    starts = range(len(train) - len(part) + 1) if part else ()
    return next((at for at in starts if all(train[at + i] == one for i, one in enumerate(part))), None)
