"""Post-training pruning: masks of a pretrained network by one look at it, measured as it is or retrained."""

from collections.abc import Iterator
from typing import Any

from pydantic import model_validator

from ticketzoo.finding.ahead import masks_ahead
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.pruning.config import COMPARED
from ticketzoo.pruning.schedule import LevelsConfig
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.training.parametrisation import NOTHING, WEIGHTS


class PostTrainingConfig(MethodConfig):
    """Pruning of the weights before training, once for every level and from the dense network each time.

    Attributes:
        pretrain: train the dense network first, as befits one that is not pretrained; what comes of it is pruned, and
            what tickets start from.
        retrain: train every level, the dense network too; otherwise they are measured as they are.
    """

    method: str = "post-training"
    pretrain: bool = False
    retrain: bool = False

    @property
    def trainings(self) -> int:
        """Trainings of a seed; a level that is measured as it is counts as one."""
        return super().trainings + self.pretrain

    @model_validator(mode="after")
    def _levels_are_listed(self) -> "PostTrainingConfig":
        if not isinstance(self.pruning.schedule, LevelsConfig):
            what = "post-training prunes the dense network anew for every level"
            raise ValueError(f"{what}: list their sparsities, prune.schedule.levels: [0.3, 0.5]")
        self.check_untrained()
        return self

    def stated(self) -> dict[str, Any]:
        """Return what a ticket states of its pruning, and what weights were compared with."""
        scope = self.pruning.scope.name
        words = {name: word for word, name in COMPARED.items()}
        group = "rows" if SCOPES[scope].by_rows else words.get(scope, "layer")
        return super().stated() | {"compared": group}


@METHODS.add(
    "post-training",
    config=PostTrainingConfig,
    cite="Sun et al. 2024, section 3; Frantar & Alistarh 2023, section 3",
    words="post-training {criterion} pruning of the dense network, once for each level",
)
def post_training(lab: Lab, config: PostTrainingConfig) -> Iterator[Level]:
    """Yield the dense network and `lab.levels` pruned ones. Levels need not nest."""
    start, learn = lab.initial, WEIGHTS if config.retrain else NOTHING
    if config.pretrain:
        start = lab.train(lab.dense, lab.initial, what="first").end(count_from=0)
    levels = masks_ahead(lab, start, anew=True)
    yield Level(lab.dense, start, learn=learn)
    for level, masks in enumerate(levels, 1):
        yield Level(masks, lab.rewritten(start, to=level), learn=learn)
