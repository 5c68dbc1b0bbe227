"""Examples of a user's own that are held out and are trained on, too: an error if all are, else a remark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ticketzoo.data.remarks import Remarks
from ticketzoo.errors import DataError


@dataclass(frozen=True)
class Copies:
    """Held-out examples whose inputs are those of examples to train on.

    Attributes:
        counts: by the name of the held-out split: how many there are, and how many examples it has.
    """

    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def among(cls, train: Sequence[bytes], held_out: Mapping[str, Sequence[bytes]]) -> "Copies":
        """Count them, by the digests of inputs, [n] each."""
        trained = set(train)
        found = {split: sum(one in trained for one in digests) for split, digests in held_out.items()}
        return cls({split: (count, len(held_out[split])) for split, count in found.items() if count})

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
            DataError: all examples to test on are trained on.
        """
        count, total = self.counts.get("test", (0, -1))
        if count == total:
            advice = "give others, or a function evaluate(model) if that is meant"
            raise DataError(f"evaluate: all {total:,} examples are in train, too: {advice}")
        remarks = Remarks()
        for sentence in self.sentences():
            remarks.add(sentence)
        remarks.log(name)
