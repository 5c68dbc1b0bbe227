"""A training step with masks on the model, against the same step of the same model without."""

import copy
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import torch
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns
from torch.nn import functional as F

from ticketzoo.masks import gradients, together
from ticketzoo.masks.attach import attach, detach
from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.pruning.config import PruningConfig, dense_masks
from ticketzoo.pruning.magnitude import prune_by_magnitude

SHAPES = {"lenet-300-100": (1, 28, 28), "lenet-5": (1, 28, 28)}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True),
    "adam": partial(torch.optim.Adam, lr=1e-4, fused=True),
}


def main() -> None:
    """Measure each model, its masks at sparsity 0.67."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--models", nargs="+", default=["lenet-300-100", "resnet-20"], help="ticketzoo models")
    parser.add_argument("--batch-size", type=int, default=128, help="images in a batch")
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS), default="sgd", help="fused")
    parser.add_argument("--device", default="cpu", help="where to train")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long about one measurement takes")
    parser.add_argument("--one-by-one", action="store_true", help="also with masks that are set back one by one")
    options = parse(parser)
    rows = []
    for name in options.models:
        trainer = Trainer(name, options.batch_size, options.optimizer, torch.device(options.device))
        steps = max(1, round(options.seconds / trainer.step_time()))
        ways = {"masked": partial(trainer.masked, steps), "dense": partial(trainer.dense, steps)}
        if options.one_by_one:
            ways["one by one"] = partial(trainer.one_by_one, steps)
        samples = take_turns(ways, options.rounds)
        milliseconds = {way: [1000 * seconds / steps for seconds in samples[way]] for way in samples}
        rows.append(Row(name, "ms", milliseconds["masked"], "dense step", milliseconds["dense"], Goal(1.02, "ratio")))
        if options.one_by_one:
            rows.append(Row(name, "ms", milliseconds["masked"], "masks one by one", milliseconds["one by one"]))
    facts = {"batch size": options.batch_size, "optimiser": f"fused {options.optimizer}", "device": options.device}
    Report("Masked training step", rows, facts).print(options.json)


class Trainer:
    """One model in one place in memory, on which masks are put and taken off again."""

    def __init__(self, name: str, batch_size: int, optimizer: str, device: torch.device) -> None:
        shape = SHAPES.get(name, (3, 32, 32))
        self.device, self.optimizer = device, OPTIMIZERS[optimizer]
        self.model = create_model(name, seed=0, in_shape=shape).to(device)
        self.start = copy.deepcopy(self.model.state_dict())
        self.images = torch.randn(batch_size, *shape, device=device)
        self.labels = torch.randint(10, (batch_size,), device=device)
        weights = {name: parameter.detach() for name, parameter in prunable_parameters(self.model).items()}
        pruning = PruningConfig(rate=0.67)
        self.masks = prune_by_magnitude(weights, dense_masks(weights, pruning), pruning)

    def step_time(self) -> float:
        """Seconds of a dense step, roughly."""
        self.dense(2)
        return self.dense(5) / 5

    def masked(self, steps: int) -> float:
        """Seconds of so many steps with masks."""
        attach(self.model, self.masks)
        seconds = self._steps(steps)
        detach(self.model)
        return seconds

    def one_by_one(self, steps: int) -> float:
        """Seconds of so many steps with masks, each of which is set back by a call of its own."""
        with patch.object(together, "fits", never), patch.object(gradients, "waits", never):
            return self.masked(steps)

    def dense(self, steps: int) -> float:
        """Seconds of so many steps without."""
        return self._steps(steps)

    def _steps(self, steps: int) -> float:
        self.model.load_state_dict(self.start)
        optimizer = self.optimizer(self.model.parameters())
        self._step(optimizer)
        self._wait()
        with Stopwatch() as watch:
            for _ in range(steps):
                self._step(optimizer)
            self._wait()
        return watch.seconds

    def _step(self, optimizer: torch.optim.Optimizer) -> None:
        F.cross_entropy(self.model(self.images), self.labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def never(*arguments: object) -> bool:
    """No mask is set back together with others."""
    return False


if __name__ == "__main__":
    main()
