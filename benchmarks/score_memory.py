"""Peak memory of scores before training, SNIP, GraSP and SynFlow, against a training step with room for them."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Goal, Report, Row, arguments, parse, take_turns
from peak_memory import SHAPES, Setting, peak_of
from random_images import random_images

if TYPE_CHECKING:
    from torch import Tensor

    from ticketzoo.pruning.task_probe import TaskProbe


@dataclass(frozen=True)
class Scoring(Setting):
    """A setting, and in how many parts GraSP's batch is computed."""

    parts: int = 1


def main() -> None:
    """Measure each model."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--models", nargs="+", default=["resnet-20"], help="models, NAME or NAME:WIDTH")
    parser.add_argument("--side", type=int, help="pixels of a side of the images; the model's usual by default")
    parser.add_argument("--images", type=int, default=512, help="how many random training images")
    parser.add_argument("--batch-size", type=int, default=64, help="images of the training step, and of the scores")
    parser.add_argument("--parts", type=int, default=4, help="parts of the batch, one after the other, for GraSP")
    options = parse(parser)
    rows = []
    for chosen in options.models:
        name, _, width = chosen.partition(":")
        shape = SHAPES.get(name, (3, options.side or 32, options.side or 32))
        with random_images(shape, options.images, 64) as path:
            plain = (path, name, float(width or 1), options.batch_size, 1, options.threads)
            setting = Scoring(*plain)
            ways: dict[str, Callable[[], float]] = {
                "step": partial(peak_of, training_step, setting),
                "nothing": partial(peak_of, nothing, setting),
                "SNIP": partial(peak_of, snip, setting),
                "GraSP, whole batch": partial(peak_of, grasp, setting),
                f"GraSP, {options.parts} parts": partial(peak_of, grasp, replace(setting, parts=options.parts)),
                "SynFlow": partial(peak_of, synflow, setting),
            }
            samples = take_turns(ways, options.rounds, warm_up=0)
        step = samples.pop("step")
        goals = {case: None if case in ("nothing", "GraSP, whole batch") else Goal(1.05, "ratio") for case in samples}
        rows += [
            Row(f"{chosen}, {case}", "MB", taken, "step and scores", step, goals[case])
            for case, taken in samples.items()
        ]
    facts = {"batch size": options.batch_size, "nothing": "the model and the probe, and no scores"}
    Report("Peak memory of scores before training", rows, facts).print(options.json)


def nothing(setting: Scoring) -> None:
    """Make the model and the probe, as every process does."""
    with tempfile.TemporaryDirectory() as folder:
        _probe(setting, Path(folder))


def training_step(setting: Scoring) -> None:
    """One step of SGD with momentum on as many images, with room for the scores beside it."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        probe = _probe(setting, Path(folder))
        scores = [torch.ones(mask.shape, dtype=torch.float64) for mask in probe.masks.values()]
        model = probe.model().train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        (batch,) = probe.task.batches(setting.batch_size, 0, 0, 1, probe.device)
        probe.task.loss(model, batch).backward()
        optimizer.step()
        del scores


def snip(setting: Scoring) -> None:
    """SNIP's scores of one batch."""
    from ticketzoo.pruning.saliency import SnipConfig

    _scores(setting, "snip", SnipConfig(batch_size=setting.batch_size))


def grasp(setting: Scoring) -> None:
    """GraSP's scores of one batch, in parts."""
    from ticketzoo.pruning.saliency import GraspConfig

    _scores(setting, "grasp", GraspConfig(batch_size=setting.batch_size // setting.parts, batches=setting.parts))


def synflow(setting: Scoring) -> None:
    """SynFlow's scores of one iteration."""
    from ticketzoo.pruning.synflow import SynflowConfig

    _scores(setting, "synflow", SynflowConfig())


def _scores(setting: Scoring, name: str, config: object) -> "dict[str, Tensor]":
    from ticketzoo.pruning.criteria import CRITERIA
    from ticketzoo.pruning.part import PartConfig

    assert isinstance(config, PartConfig)
    with tempfile.TemporaryDirectory() as folder:
        return dict(CRITERIA[name].configured(config).scores(_probe(setting, Path(folder))))


def _probe(setting: Scoring, folder: Path) -> "TaskProbe":
    import torch
    from peak_memory import task_of

    from ticketzoo.finding.method import Start
    from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
    from ticketzoo.models.create import arguments_for
    from ticketzoo.models.state import copy_state
    from ticketzoo.pruning.config import PruningConfig, dense_masks
    from ticketzoo.pruning.task_probe import TaskProbe
    from ticketzoo.runs.store import Store

    task = task_of(setting)
    kwargs = arguments_for(setting.model, task.signature) | ({"width": setting.width} if setting.width != 1 else {})
    architecture = architecture_of(setting.model, kwargs)
    model = create_from_architecture(architecture, seed=0)
    state = copy_state(model)
    masks = dense_masks(prunable_parameters(model), PruningConfig())
    with Store(folder, device=torch.device("cpu")) as cells:
        return TaskProbe(architecture, task, state, Start(lambda: state), masks, 0, cells.device, cells.remember)


if __name__ == "__main__":
    main()
