"""Peak memory of finding a level, pruning included, against training the dense model, each in a process of its own."""

import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Goal, Report, Row, arguments, parse, take_turns
from random_images import random_images

if TYPE_CHECKING:
    from ticketzoo.tasks.task import Task
    from ticketzoo.training import TrainingConfig

SHAPES = {"lenet-300-100": (1, 28, 28), "lenet-5": (1, 28, 28)}


@dataclass(frozen=True)
class Setting:
    """The training of every process: a model of ours of some width, on the images at `path`."""

    path: str
    model: str
    width: float
    batch_size: int
    steps: int
    threads: int | None


def main() -> None:
    """Measure each model. This process stays small: what it has in memory could count as its children's."""
    parser = arguments(__doc__, rounds=3)
    models = ["lenet-300-100", "lenet-300-100:40", "resnet-20"]
    parser.add_argument("--models", nargs="+", default=models, help="ticketzoo models, NAME or NAME:WIDTH")
    parser.add_argument("--images", type=int, default=5_000, help="how many random training images")
    parser.add_argument("--batch-size", type=int, default=64, help="images in a batch")
    parser.add_argument(
        "--steps", type=int, default=4, help="training iterations; the peak is reached in the first few"
    )
    options = parse(parser)
    rows = []
    for chosen in options.models:
        name, _, width = chosen.partition(":")
        with random_images(SHAPES.get(name, (3, 32, 32)), options.images, 1000) as path:
            setting = Setting(path, name, float(width or 1), options.batch_size, options.steps, options.threads)
            ways = {way.__name__: partial(peak_of, way, setting) for way in (finding, bare_training, our_training)}
            samples = take_turns(ways, options.rounds, warm_up=0)
        for comparison in ("bare_training", "our_training"):
            described = f"dense, {comparison.replace('_training', ' loop')}"
            rows.append(Row(chosen, "MB", samples["finding"], described, samples[comparison], Goal(1.2, "ratio")))
    facts = {"training images": options.images, "batch size": options.batch_size, "optimiser": "SGD with momentum"}
    Report("Peak memory of finding", rows, facts).print(options.json)


def peak_of(way: Callable[[Setting], None], setting: Setting) -> float:
    """Highest resident memory, in MB, of a fresh process that does `way(setting)`."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_peak, args=(sender, way, setting))
    process.start()
    sender.close()
    try:
        return float(receiver.recv())
    except EOFError:
        raise SystemExit(f"{way.__name__} of {setting.model} failed in its process") from None
    finally:
        process.join()


def finding(setting: Setting) -> None:
    """A level as `ticketzoo find` does it: masks on the rewind weights, training in a cell, one pruning round."""
    import torch

    from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
    from ticketzoo.models.create import arguments_for
    from ticketzoo.models.state import copy_state
    from ticketzoo.pruning.config import PruningConfig, dense_masks
    from ticketzoo.pruning.magnitude import prune_by_magnitude
    from ticketzoo.runs.store import Job, Store

    task, pruning = task_of(setting), PruningConfig()
    architecture = architecture_of(
        setting.model, {**arguments_for(setting.model, task.signature), "width": setting.width}
    )
    model = create_from_architecture(architecture, seed=0)
    rewind = copy_state(model)
    masks = prune_by_magnitude(rewind, dense_masks(prunable_parameters(model), pruning), pruning)
    del model
    job = Job(architecture, rewind, masks, task, _training(setting), seed=0)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder), device=torch.device("cpu")) as cells:
        cell = cells.run(job, "level", keep_final=True)
        prune_by_magnitude(cell.final_state(), masks, pruning)


def our_training(setting: Setting) -> None:
    """The dense model by ticketzoo's training loop, nothing stored."""
    import torch

    from ticketzoo.models import create_model
    from ticketzoo.models.create import arguments_for
    from ticketzoo.training.loop import train

    task = task_of(setting)
    model = create_model(setting.model, seed=0, width=setting.width, **arguments_for(setting.model, task.signature))
    train(model, task, _training(setting), seed=0, device=torch.device("cpu"))


def bare_training(setting: Setting) -> None:
    """The dense model by a plain PyTorch loop over the same images, normalised in memory."""
    import torch
    from torch.nn import functional as F

    from ticketzoo.data.images.batches import MemoryImages
    from ticketzoo.data.images.splits import ImageDataset, load_images
    from ticketzoo.models import create_model

    data = load_images(ImageDataset(path=setting.path))
    splits = [split for split in (data.train, data.validation, data.test) if isinstance(split, MemoryImages)]
    images, *held_out = ((split.pixels.float() / 255 - 0.5) / 0.25 for split in splits)
    labels = data.train.labels
    model = create_model(setting.model, seed=0, width=setting.width, in_shape=data.in_shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    for batch in torch.randperm(len(images)).split(setting.batch_size)[: setting.steps]:
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    model.eval()
    with torch.no_grad():
        for split in held_out:
            for part in split.split(1000):
                model(part)


def task_of(setting: Setting) -> "Task":
    """The task of classifying the images."""
    from ticketzoo.data.images.splits import ImageDataset
    from ticketzoo.tasks import create_task
    from ticketzoo.tasks.image_classification import ImageClassificationConfig

    dataset = ImageDataset(path=setting.path)
    return create_task(ImageClassificationConfig(type="image-classification", dataset=dataset))


def _training(setting: Setting) -> "TrainingConfig":
    from ticketzoo.recipe import Steps
    from ticketzoo.training.config import OptimizerConfig, TrainingConfig

    return TrainingConfig(
        steps=Steps(setting.steps, "it"),
        batch_size=setting.batch_size,
        optimizer=OptimizerConfig(lr=1e-3, momentum=0.9),
    )


def _send_peak(sender: Connection, way: Callable[[Setting], None], setting: Setting) -> None:
    if setting.threads:
        import torch

        torch.set_num_threads(setting.threads)
    way(setting)
    sender.send(_peak_megabytes())


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    main()
