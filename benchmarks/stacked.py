"""Updates of a population of masked networks, for each network, against the training loop with one of them."""

import math
import statistics
from collections.abc import Iterator, Sequence

import torch
from measuring import Report, Row, Stopwatch, arguments, parse, take_turns
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.order import on_device, training_order
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.models.signature import Classes, Image, Signature
from ticketzoo.models.state import copy_state
from ticketzoo.recipe import Steps
from ticketzoo.tasks.metrics import ACCURACY
from ticketzoo.tasks.task import Resident
from ticketzoo.training import TrainingConfig, train
from ticketzoo.training.job import Job
from ticketzoo.training.population import Population
from ticketzoo.training.stacked_update import StackedUpdates, create_stacked_optimizer
from ticketzoo.training.threads import threads_for

SHAPES = {"lenet-300-100": (1, 28, 28), "lenet-5": (1, 28, 28)}
IMAGES = 10_000


def main() -> None:
    """Measure populations of each size, captured as CUDA graphs and not."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--model", default="lenet-300-100", help="a ticketzoo model")
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8, 32, 128], help="networks in a population")
    parser.add_argument("--batch-size", type=int, default=128, help="images in a batch of each")
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd", help="fused; sgd with momentum")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of forward passes, everywhere")
    parser.add_argument("--device", default="cpu", help="where to train")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long about one measurement takes")
    options = parse(parser)
    device = torch.device(options.device)
    optimizer = {"name": options.optimizer, "lr": {"sgd": 0.01, "adam": 1e-4}[options.optimizer]}
    optimizer |= {"momentum": 0.9} if options.optimizer == "sgd" else {}
    settings = {"batch_size": options.batch_size, "optimizer": optimizer, "precision": options.precision}
    maker = Jobs(options.model, TrainingConfig.model_validate({"steps": "1000000000it", **settings}))
    ways = {"alone": Alone(maker.job(0), device, options.seconds)}
    for members in options.members:
        jobs = [maker.job(number) for number in range(members)]
        for captured in (False, True) if device.type == "cuda" else (False,):
            ways[f"{members} at once" + ", captured" * captured] = Together(jobs, device, options.seconds, captured)
    samples = take_turns(ways, options.rounds)
    alone = samples.pop("alone")
    rows = [Row(case, "ms", values, "training loop with one", alone) for case, values in samples.items()]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else options.device
    updates = {case: f"{1000 / statistics.median(values):,.0f}" for case, values in {"alone": alone, **samples}.items()}
    facts = {"model": options.model, "device": name, **settings, "sparsity": 0.67, "updates a second": updates}
    Report("An update of each network of a population", rows, facts).print(options.json)


class RandomImages:
    """Random images that stay on the device; looking at them takes no time."""

    name, metric, has_validation, source, identity = "random", ACCURACY, False, {}, {}  # type: ignore[var-annotated]

    def __init__(self, shape: tuple[int, int, int]) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(IMAGES, *shape, generator=generator)
        self.labels = torch.randint(10, (IMAGES,), generator=generator)
        self.signature, self.examples = Signature(Image(*shape), Classes(10)), {"train": IMAGES}
        self._on: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass."""
        return math.ceil(IMAGES / batch_size)

    def batches(
        self, batch_size: int, seed: int, start: int, stop: int, device: torch.device
    ) -> Iterator[list[Tensor]]:
        """Yield images and labels."""
        images, labels = self._tensors(device)
        for rows in training_order(IMAGES, batch_size, seed, start, stop):
            there = on_device(rows, device)
            yield [images.index_select(0, there), labels.index_select(0, there)]

    def resident(self, device: torch.device) -> Resident:
        """Return images and labels on the device."""
        return Resident(self._tensors(device), list)

    def loss(self, model: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        """Return the cross-entropy."""
        return F.cross_entropy(model(batch[0]), batch[1])

    def size(self, batch: Sequence[Tensor]) -> int:
        """Return the number of images."""
        return len(batch[1])

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Look at nothing."""
        return {"loss": 0.0, "accuracy": 0.0}

    def _tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device not in self._on:
            self._on[device] = self.images.to(device), self.labels.to(device)
        return self._on[device]


class Jobs:
    """Makes trainings that differ in seed, weights and masks."""

    def __init__(self, model: str, config: TrainingConfig) -> None:
        shape = SHAPES.get(model, (3, 32, 32))
        self.architecture, self.config = architecture_of(model, {"in_shape": list(shape)}), config
        self.task = RandomImages(shape)

    def job(self, seed: int) -> Job:
        """Return the training of a seed, at sparsity 0.67."""
        model = create_from_architecture(self.architecture, seed)
        generator = torch.Generator().manual_seed(seed)
        masks = {
            name: torch.rand(parameter.shape, generator=generator) > 0.67
            for name, parameter in prunable_parameters(model).items()
        }
        return Job(self.architecture, copy_state(model), masks, self.task, self.config, seed)


class Alone:
    """The training loop with one network."""

    def __init__(self, job: Job, device: torch.device, seconds: float) -> None:
        self._job, self._device, self._seconds, self._steps = job, device, seconds, 20
        self()
        self._steps = max(20, round(seconds / (self() / 1000)))

    def __call__(self) -> float:
        """Return milliseconds an update."""
        config = self._job.training.model_copy(update={"steps": Steps(self._steps, "it")})
        model = self._job.model(self._device)
        with threads_for(self._job, model, self._device):
            _wait(self._device)
            with Stopwatch() as watch:
                train(model, self._job.task, config, seed=self._job.seed, device=self._device)
                _wait(self._device)
        return 1000 * watch.seconds / self._steps


class Together:
    """A population."""

    def __init__(self, jobs: list[Job], device: torch.device, seconds: float, captured: bool) -> None:
        self._jobs, self._device, self._step, self._steps = jobs, device, 0, 5
        population, config, task = Population(jobs, device), jobs[0].training, jobs[0].task
        optimizer, seeds = create_stacked_optimizer(config, population), [job.seed for job in jobs]
        assert isinstance(task, RandomImages)
        resident = task.resident(device)
        self._updates = StackedUpdates(population, optimizer, task, resident, config, seeds, 10**9, device)
        if captured:
            self._updates.capture()
        self()
        self._steps = max(5, round(seconds / (self() * len(jobs) / 1000)))

    def __call__(self) -> float:
        """Return milliseconds an update of each."""
        with threads_for(self._jobs[0], self._jobs[0].model(self._device), self._device, models=len(self._jobs)):
            _wait(self._device)
            with Stopwatch() as watch:
                for _ in range(self._steps):
                    self._updates(self._step)
                    self._step += 1
                _wait(self._device)
        return 1000 * watch.seconds / self._steps / len(self._jobs)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
