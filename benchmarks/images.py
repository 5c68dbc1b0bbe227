"""Images a second of our training loop on masked networks, against a plain PyTorch loop on the same dense ones."""

import statistics
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

import torch
from measuring import Report, Row, Stopwatch, arguments, parse, take_turns
from random_images import random_images
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ticketzoo.data.images.splits import ImageDataset
from ticketzoo.masks.attach import attach
from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.pruning.config import PruningConfig, dense_masks
from ticketzoo.pruning.magnitude import prune_by_magnitude
from ticketzoo.recipe import Steps
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig
from ticketzoo.tasks.task import Task
from ticketzoo.training.config import OptimizerConfig, TrainingConfig
from ticketzoo.training.loop import train

SHAPES = {"lenet-300-100": (1, 28, 28), "resnet-20": (3, 32, 32), "torchvision/resnet50": (3, 224, 224)}
BATCH_SIZES = {"cpu": {"torchvision/resnet50": 8}, "cuda": {"torchvision/resnet50": 256}}
"""Images in a batch, where they are not 128."""
PEAKS = {"A100": 312e12, "H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12}
"""Dense bf16 operations a second by GPU, from NVIDIA's data sheets."""
WARM_UP = 1


def main() -> None:
    """Measure each model, images in memory on the device; on a GPU in bf16 and channels-last."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--models", nargs="+", choices=list(SHAPES), default=list(SHAPES), help="some of them")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to train")
    parser.add_argument("--compile", action="store_true", help="both by torch.compile")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long about one measurement takes")
    options = parse(parser)
    device = torch.device(options.device)
    peak, peak_is = peak_of(device)
    rows, facts = [], {"peak": f"{peak / 1e12:.4g} TFLOP/s ({peak_is})"}
    for name in options.models:
        batch_size = BATCH_SIZES[device.type].get(name, 128)
        with random_images(SHAPES[name], train=8 * batch_size, test=100) as path:
            loops = Loops(name, path, batch_size, device, options.compile)
        steps = max(2, round(options.seconds / loops.plain(2) * 2))
        ways = {"ours": lambda: loops.ours(steps), "plain": lambda: loops.plain(steps)}  # noqa: B023 (run here)
        samples = take_turns(ways, options.rounds)
        speeds = {way: [steps * batch_size / seconds for seconds in samples[way]] for way in samples}
        case = f"{name}, batches of {batch_size}"
        rows.append(Row(case, "images/s", speeds["ours"], "plain loop", speeds["plain"]))
        share = statistics.median(speeds["ours"]) * loops.operations / peak
        facts[f"{name}, share of peak"] = f"{share:.1%}, at {loops.operations / 1e9:.3g} GFLOP an image"
    facts["precision"] = "bf16, channels-last" if device.type == "cuda" else "fp32"
    facts["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    Report("Images a second (more is better)", rows, facts).print(options.json)


class Loops:
    """One architecture, trained by our loop under masks of sparsity 0.67, and by a plain one without."""

    def __init__(self, name: str, path: str, batch_size: int, device: torch.device, compiled: bool) -> None:
        dataset = ImageDataset(path=path, validation=0)
        self.task = create_task(ImageClassificationConfig(type="image-classification", dataset=dataset))
        self.batch_size, self.device, self.on_gpu = batch_size, device, device.type == "cuda"
        self.training = TrainingConfig(
            batch_size=batch_size,
            optimizer=OptimizerConfig(name="sgd", lr=1e-3, momentum=0.9, weight_decay=1e-4),
            precision="bf16" if self.on_gpu else "fp32",
            channels_last=self.on_gpu,
            compile=compiled,
        )
        self.masked, self.dense = (self._model(name) for _ in range(2))
        weights = {key: weight.detach().cpu() for key, weight in prunable_parameters(self.masked).items()}
        pruning = PruningConfig(rate=0.67)
        attach(self.masked, prune_by_magnitude(weights, dense_masks(weights, pruning), pruning))
        self.images = torch.randn(8 * batch_size, *SHAPES[name], device=device)
        self.labels = torch.randint(10, (8 * batch_size,), device=device)
        self.operations = self._operations()
        self.called = torch.compile(self.dense, dynamic=False) if compiled else self.dense

    def ours(self, steps: int) -> float:
        """Seconds of so many iterations of `ticketzoo.training.train`."""
        timed = _TimedBatches(self.task, self)
        training = self.training.model_copy(update={"steps": Steps(WARM_UP + steps, "it")})
        train(self.masked, cast(Task, timed), training, seed=0, device=self.device)
        return timed.seconds

    def plain(self, steps: int) -> float:
        """Seconds of so many iterations of the loop that everybody writes, on images that are already normalised."""
        optimizer = torch.optim.SGD(self.dense.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
        for _ in range(WARM_UP):
            self._step(optimizer, torch.arange(self.batch_size, device=self.device))
        self.wait()
        with Stopwatch() as watch:
            for batch in islice(self._order(), steps):
                self._step(optimizer, batch)
            self.wait()
        return watch.seconds

    def wait(self) -> None:
        """Until the device has done what it was given to do."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def _order(self) -> Iterator[Tensor]:
        """Batches of epoch after epoch."""
        while True:
            yield from torch.randperm(len(self.labels), device=self.device).split(self.batch_size)

    def _step(self, optimizer: torch.optim.Optimizer, batch: Tensor) -> None:
        images, labels = self.images.index_select(0, batch), self.labels.index_select(0, batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_gpu):
            loss = F.cross_entropy(self.called(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _model(self, name: str) -> nn.Module:
        model = create_model(name, seed=0, in_shape=SHAPES[name], num_classes=10).to(self.device)
        return model.to(memory_format=torch.channels_last) if self.on_gpu else model

    def _operations(self) -> float:
        """Multiplications and additions of the dense network's forward and backward pass, an image."""
        with FlopCounterMode(display=False) as counter:
            F.cross_entropy(self.dense(self.images[:2]), self.labels[:2]).backward()
        self.dense.zero_grad(set_to_none=True)
        return counter.get_total_flops() / 2


class _TimedBatches:
    """A task whose batches are timed after a warm-up, and which has nothing to evaluate."""

    has_validation = False
    seconds = 0.0

    def __init__(self, task: Task, loops: Loops) -> None:
        self._task, self._loops = task, loops

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Nothing."""
        return {"loss": 0.0, "accuracy": 0.0}

    def batches(self, *arguments: Any) -> Iterator[Any]:
        """Those of the task, timed from the request after the warm-up to the one after the last."""
        batches = self._task.batches(*arguments)
        for _ in range(WARM_UP):
            yield next(batches)
        self._loops.wait()
        with Stopwatch() as watch:
            yield from batches
            self._loops.wait()
        self.seconds = watch.seconds


def peak_of(device: torch.device) -> tuple[float, str]:
    """Operations a second that the device can do at most, and where the figure is from."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, peak in PEAKS.items():
            if known in name:
                return peak, f"{known}'s data sheet, bf16"
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (2048, torch.float32)
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    fastest = float("inf")
    for _ in range(10):
        with Stopwatch() as watch:
            (matrix @ matrix)[0, 0].item()
        fastest = min(fastest, watch.seconds)
    return 2 * size**3 / fastest, f"the fastest of ten products of {size} x {size} matrices, {dtype}".replace(
        "torch.", ""
    )


if __name__ == "__main__":
    main()
