"""The weights and the step that a pruned network is trained from again."""

from collections.abc import Callable
from dataclasses import dataclass

from ticketzoo.errors import RecipeError
from ticketzoo.finding.method import Start, Trained
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Rewinding:
    """A row of `REWINDINGS`.

    Attributes:
        name: by which recipes ask for it.
        make: `make(dense, trained, step)` gives the start of the next training, from that of the dense network, the
            last one, and the rewind step.
        early: whether the dense network's weights at the rewind step are needed.
        cite: where it comes from.
    """

    name: str
    make: Callable[[Trained, Trained, int], Start]
    early: bool
    cite: str

    def __call__(self, dense: Trained, trained: Trained, step: int) -> Start:
        """Return where the next training starts."""
        return self.make(dense, trained, step)

    def kept(self, step: int) -> list[int]:
        """Return the steps whose states the dense training has to keep."""
        return [step] if self.early else []


REWINDINGS: Registry[Rewinding] = Registry("rewinding", Rewinding, error=RecipeError)


@REWINDINGS.add("weights", early=True, cite="Frankle et al. 2020, section 4")
def weights(dense: Trained, trained: Trained, step: int) -> Start:
    """Return the weights of the rewind step; schedule and data order go on from that step."""
    return dense.at(step)


@REWINDINGS.add("learning-rate", early=False, cite="Renda et al. 2020, section 2")
def learning_rate(dense: Trained, trained: Trained, step: int) -> Start:
    """Return the weights just trained; schedule and data order go on from the rewind step."""
    return trained.end(count_from=step)


@REWINDINGS.add("late-reset", early=True, cite="Morcos et al. 2019, section 3")
def late_reset(dense: Trained, trained: Trained, step: int) -> Start:
    """Return the weights of the rewind step; schedule, data order and length are those of the start."""
    return dense.at(step, count_from=0)
