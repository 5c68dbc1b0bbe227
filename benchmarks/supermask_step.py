"""A training step of scores or logits of LeNet-300-100's frozen weights, against a step of as many masked weights."""

from functools import partial

import torch
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns
from torch import nn
from torch.nn import functional as F

from ticketzoo.masks.attach import hooks_paused
from ticketzoo.masks.masks import Masks
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.training.bernoulli import Bernoulli
from ticketzoo.training.config import OptimizerConfig
from ticketzoo.training.optim import create_optimizer
from ticketzoo.training.parametrisation import WEIGHTS, Parametrisation
from ticketzoo.training.scores import Biprop, EdgePopup, counts

SGD = OptimizerConfig(lr=0.1, momentum=0.9, weight_decay=1e-4)


def main() -> None:
    """Measure edge-popup and biprop at each density, and learned Bernoulli masks."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--densities", nargs="+", type=float, default=[0.5, 0.1], help="fractions kept of each layer")
    parser.add_argument("--batch-size", type=int, default=128, help="images in a batch")
    parser.add_argument("--steps", type=int, default=200, help="in one measurement")
    options = parse(parser)
    architecture = architecture_of("lenet-300-100", {"init": "kaiming_normal"})
    rows = []
    for density in options.densities:
        dense = _dense(create_from_architecture(architecture, seed=0))
        masks = {name: torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)) < density
                 for name, mask in dense.items()}  # fmt: skip
        kept = counts(dense, density)
        learned: dict[str, tuple[Parametrisation, Masks]] = {"masked": (WEIGHTS, masks)}
        learned |= {"edge-popup": (EdgePopup(kept), dense), "biprop": (Biprop(kept), dense)}
        learned |= {"bernoulli": (Bernoulli(rescaled=True), dense)}
        ways = {
            way: partial(_seconds, architecture, learn, of, options.steps, options.batch_size)
            for way, (learn, of) in learned.items()
        }
        samples = take_turns(ways, options.rounds)
        step = {way: [1000 * seconds / options.steps for seconds in samples[way]] for way in samples}
        for way in ("edge-popup", "biprop", "bernoulli"):
            goal = Goal(1.5, "ratio") if way == "edge-popup" else None
            rows.append(Row(f"{way}, {density:g} kept", "ms", step[way], "masked step", step["masked"], goal))
    Report("Training step of a supermask", rows, {"batch size": options.batch_size}).print(options.json)


def _dense(model: nn.Module) -> Masks:
    return {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}


def _seconds(architecture: dict, learn: Parametrisation, masks: Masks, steps: int, batch_size: int) -> float:
    """Return the seconds of so many steps, after as many as the selection needs to settle."""
    model = create_from_architecture(architecture, seed=0)
    moved = {id(one) for one in learn.install(model, masks, 0)}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in moved)
    optimizer = create_optimizer(SGD, model.parameters())
    images = torch.randn(batch_size, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(batch_size) % 10

    def step(zero_pruned_gradients: object) -> None:
        F.cross_entropy(model(images), labels).backward()
        zero_pruned_gradients()  # type: ignore[operator]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    with hooks_paused(model) as zero_pruned_gradients:
        for _ in range(30):
            step(zero_pruned_gradients)
        with Stopwatch() as watch:
            for _ in range(steps):
                step(zero_pruned_gradients)
    return watch.seconds


if __name__ == "__main__":
    main()
