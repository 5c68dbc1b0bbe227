"""Words of verdicts: a family and a sentence for each label."""

from dataclasses import dataclass

from ticketzoo.gallery.boards import plain_label


@dataclass(frozen=True)
class Kind:
    """A family of labels.

    Attributes:
        name: its class in the style sheet, which gives it a colour and a sign of its own.
        labels: those in it, the ones that readers meet first.
        means: the labels in one sentence.
    """

    name: str
    labels: tuple[str, ...]
    means: str


KINDS = (
    Kind("win", ("winning", "filters matter"), "as good as the dense network, and better than every control"),
    Kind("match", ("matching",), "as good as the dense network, within a stated margin"),
    Kind(
        "untrained",
        ("matches untrained", "works untrained"),
        "as good as trained dense, or far above chance, with no weight trained",
    ),
    Kind("open", ("undecided",), "more seeds are needed to tell"),
    Kind("below", ("below", "not matching"), "worse than the dense network by more than the margin"),
    Kind("none", ("not measured",), "no rows, or too few, to judge by"),
)


def kind_of(label: str) -> Kind:
    """Return the family of a label, with or without its mark of a short training."""
    return next((kind for kind in KINDS if plain_label(label) in kind.labels), KINDS[-1])


def kind_names() -> dict[str, str]:
    """Return the name of each label's family, for the script of the pages."""
    return {label: kind.name for kind in KINDS for label in kind.labels}
