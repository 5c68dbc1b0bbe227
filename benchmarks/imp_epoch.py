"""An epoch of finding LeNet-300-100 tickets on MNIST, against a bare PyTorch loop over tensors in memory."""

from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from bare_loop import BareLoop
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns
from random_images import random_images

from ticketzoo.data.images.splits import ImageDataset, load_images
from ticketzoo.masks.attach import attach
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.models.create import arguments_for
from ticketzoo.models.state import copy_state
from ticketzoo.pruning.config import PruningConfig, dense_masks
from ticketzoo.pruning.magnitude import prune_by_magnitude
from ticketzoo.recipe import Steps
from ticketzoo.runs.store import Job, Store
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig
from ticketzoo.tasks.task import Task
from ticketzoo.training.config import OptimizerConfig, TrainingConfig
from ticketzoo.training.loop import train

SEED = 0
PRUNING = PruningConfig(rate=0.2)


def main() -> None:
    """Measure the loop alone, and a whole level: its cell, stored, and the pruning round after it."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--data", help="folder or Hub id of MNIST; random images of its shape if not given")
    parser.add_argument("--images", type=int, default=60_000, help="how many random training images")
    parser.add_argument("--batch-size", type=int, default=128, help="images in a training batch")
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd", help="fused, in both loops")
    parser.add_argument("--level-epochs", type=int, default=5, help="epochs of the whole level; 0 leaves it out")
    options = parse(parser)
    images = nullcontext(options.data) if options.data else random_images((1, 28, 28), options.images, 10_000)
    with images as path, TemporaryDirectory() as folder:
        dataset = ImageDataset(path=path)
        task = create_task(ImageClassificationConfig(type="image-classification", dataset=dataset))
        optimizer = OptimizerConfig(name=options.optimizer, lr={"sgd": 0.1, "adam": 1.2e-3}[options.optimizer])
        bare = BareLoop(load_images(dataset), options.batch_size, options.optimizer, optimizer.lr)
        ours = Ours(task, TrainingConfig(batch_size=options.batch_size, optimizer=optimizer), Path(folder))

        samples = take_turns({"ours": ours.epoch, "bare": lambda: bare.epochs(1)}, options.rounds)
        rows = [Row("one epoch, masked", "s", samples["ours"], "bare loop", samples["bare"], Goal(1.03, "ratio"))]
        if options.level_epochs:
            ways = {"ours": lambda: ours.level(options.level_epochs), "bare": lambda: bare.epochs(options.level_epochs)}
            samples = take_turns(ways, max(1, options.rounds // 2), warm_up=0)
            case = f"one level of {options.level_epochs} epochs, stored and pruned"
            rows.append(Row(case, "s", samples["ours"], "bare loop", samples["bare"]))
    facts = {"training images": bare.size, "batch size": options.batch_size, "optimiser": f"fused {options.optimizer}"}
    Report("An epoch of finding LeNet-300-100", rows, facts).print(options.json)


class Ours:
    """ticketzoo's training loop on a masked network, at level 5 of a trajectory (33% of the weights left)."""

    def __init__(self, task: Task, training: TrainingConfig, folder: Path) -> None:
        self.task, self.training, self.folder = task, training, folder
        self.architecture = architecture_of("lenet-300-100", arguments_for("lenet-300-100", task.signature))
        model = create_from_architecture(self.architecture, seed=SEED)
        self.state = copy_state(model)
        self.masks = dense_masks(prunable_parameters(model), PRUNING)
        for _ in range(5):
            self.masks = prune_by_magnitude(self.state, self.masks, PRUNING)
        self.levels = 0

    def epoch(self) -> float:
        """Seconds of one epoch and its evaluation on validation and test images."""
        model = create_from_architecture(self.architecture, seed=SEED)
        attach(model, self.masks)
        training = self.training.model_copy(update={"steps": Steps(1, "ep")})
        with Stopwatch() as watch:
            train(model, self.task, training, seed=SEED, device=torch.device("cpu"))
        return watch.seconds

    def level(self, epochs: int) -> float:
        """Seconds of one level as `ticketzoo find` does it; each time with another seed, so that none is remembered."""
        self.levels += 1
        training = self.training.model_copy(update={"steps": Steps(epochs, "ep")})
        job = Job(self.architecture, self.state, self.masks, self.task, training, seed=self.levels)
        with Store(self.folder, device=torch.device("cpu")) as cells, Stopwatch() as watch:
            cell = cells.run(job, "level", keep_final=True)
            prune_by_magnitude(cell.final_state(), self.masks, PRUNING)
        return watch.seconds


if __name__ == "__main__":
    main()
