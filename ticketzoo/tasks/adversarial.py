"""Images changed against the network that classifies them: training on them, and accuracy in spite of them.

FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018) in the maximum norm, on pixels in [0, 1], before
normalisation and after augmentation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.distributed.processes import Share
from ticketzoo.errors import RecipeError
from ticketzoo.masks.plain import plain_model
from ticketzoo.recipe import Config
from ticketzoo.seeds import derive_seed

if TYPE_CHECKING:
    from ticketzoo.data.images.operations import Normalize


def _of_pixels(value: Any) -> float:
    try:
        over, slash, under = value.partition("/") if isinstance(value, str) else (value, "", "")
        whole = float(under) if slash else 1.0
        number = float(over) / whole if whole > 0 else -1.0
    except (TypeError, ValueError, ArithmeticError):
        number = -1.0
    if not 0 <= number <= 1 or isinstance(value, bool):
        raise ValueError(f"{value!r} is beyond the range of pixels, which are from 0 to 1: write such as 0.1 or 8/255")
    return number


Pixels = Annotated[float, BeforeValidator(_of_pixels)]
"""A difference of pixels, which are from 0 to 1: a number or a fraction such as 8/255."""


class AttackConfig(Config):
    """The things that an attack has in training and in evaluation.

    Attributes:
        attack: pgd takes `steps` steps along the sign of the loss's gradient, each time back into the budget; fgsm
            takes one.
        step: length of a step, a number or a fraction such as 2/255; by default epsilon for fgsm, a quarter more
            where it starts at random, and 2.5 times epsilon shared by the steps of pgd.
        steps: number of steps of pgd.
    """

    attack: Literal["pgd", "fgsm"] = "pgd"
    step: Annotated[Pixels, Field(gt=0)] | None = None
    steps: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _fgsm_is_one_step(self) -> "AttackConfig":
        if self.attack == "fgsm" and self.steps not in (None, 1):
            raise ValueError(f"fgsm takes one step, not {self.steps}: leave steps out, or set attack to pgd")
        return self


class EvaluationConfig(AttackConfig):
    """The section `evaluate`: the attack by which networks are measured.

    Attributes:
        steps: number of steps of pgd; by default 20.
        restarts: number of random starts of pgd; an image counts as robust that is classified right as it is and after
            each of them.
    """

    restarts: Annotated[int, Field(ge=1, le=1000)] = 1

    @model_validator(mode="after")
    def _fgsm_starts_once(self) -> "EvaluationConfig":
        if self.attack == "fgsm" and self.restarts > 1:
            raise ValueError("fgsm starts at the image, each time: leave restarts out, or set attack to pgd")
        return self


class AdversarialConfig(AttackConfig):
    """The section `adversarial`: training on images that are changed against the network, and evaluation on such.

    Networks are then compared by `robust_accuracy`, and a ticket that matches dense has to match its accuracy, too.
    While images are changed the network is in evaluation mode: BatchNorm uses its running statistics, and nothing is
    dropped out.

    Attributes:
        epsilon: budget: the most that a pixel, from 0 to 1, may be changed by, a number or a fraction such as 8/255.
        steps: number of steps of pgd; by default 10.
        random_start: true starts at a random place in the budget, false at the image; by default as pgd does it, true,
            and fgsm, false.
        evaluate: the attack by which networks are measured, of the same epsilon.
    """

    epsilon: Pixels
    random_start: bool | None = None
    evaluate: EvaluationConfig = EvaluationConfig()

    @property
    def training(self) -> "Attack":
        """The attack on training images."""
        starts = self.attack == "pgd" if self.random_start is None else self.random_start
        return Attack.of(self, self.epsilon, 10, random_start=starts)

    @property
    def testing(self) -> "Attack":
        """The attack by which networks are measured."""
        return Attack.of(self.evaluate, self.epsilon, 20, random_start=self.evaluate.attack == "pgd")

    @property
    def words(self) -> str:
        """Both attacks in words: the numbers that are reached depend on their strength."""
        restarts = self.evaluate.restarts
        often = f", the worst of {restarts} starts" if restarts > 1 else ""
        budget = f"pixels changed by {_shown(self.epsilon)} at most"
        return f"{budget}; trained on {self.training.words}, robust accuracy by {self.testing.words}{often}"


def _shown(number: float) -> str:
    of_255 = round(number * 255)
    return f"{of_255}/255" if of_255 and abs(number * 255 - of_255) < 1e-6 else f"{number:g}"


@dataclass(frozen=True)
class Attack:
    """An attack: `steps` steps of length `step` in the budget `epsilon`, of pixels in [0, 1]."""

    name: str
    epsilon: float
    step: float
    steps: int
    random_start: bool

    @classmethod
    def of(cls, config: AttackConfig, epsilon: float, steps: int, *, random_start: bool) -> "Attack":
        """Return the attack that a section asks for; `steps` is pgd's default."""
        count = 1 if config.attack == "fgsm" else config.steps or steps
        usual = epsilon * (1 + random_start / 4) if config.attack == "fgsm" else 2.5 * epsilon / count
        return cls(config.attack.upper(), epsilon, config.step or usual, count, random_start)

    @property
    def words(self) -> str:
        """The attack in words: "PGD-20 (steps of 2/255, random start)"."""
        steps = f"-{self.steps} (steps of" if self.name == "PGD" else " (a step of"
        return f"{self.name}{steps} {_shown(self.step)}{', random start' if self.random_start else ''})"


class Adversary:
    """Changes images against networks."""

    names = ("loss", "accuracy", "robust_accuracy")
    """The numbers that `tally` gives the sums of."""

    def __init__(self, config: AdversarialConfig, normalize: "Normalize") -> None:
        self.config, self._normalize = config, normalize

    def against(self, model: nn.Module, images: Tensor, labels: Tensor, share: Share) -> Tensor:
        """Return a training batch, uint8 [b, C, H, W], changed and normalised. Draws from torch's generator.

        What is drawn for an image does not depend on the number of processes.
        """
        attack, start = self.config.training, None
        if attack.random_start:
            drawn = torch.rand((share.total, *images.shape[1:]), device=images.device)
            start = drawn[share.start : share.start + len(images)]
        return self._normalize.of_pixels(self.changed(attack, model, images / 255, labels, start))

    def tally(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return three sums over images uint8 [b, C, H, W], each at its worst: the image itself, or one of its starts.

        They are the cross-entropy, how many images are classified right as they are, and how many throughout.
        """
        attack, pixels = self.config.testing, images / 255
        scores = model(self._normalize.of_pixels(pixels))
        right = robust = scores.argmax(1) == labels
        loss = F.cross_entropy(scores, labels, reduction="none")
        for restart in range(self.config.evaluate.restarts):
            start = None
            if attack.random_start:  # the same in all batches, so that it depends on no number of processes
                generator = torch.Generator().manual_seed(derive_seed(0, "attack", restart))
                start = torch.rand(images.shape, generator=generator).to(images.device)
            scores = model(self._normalize.of_pixels(self.changed(attack, model, pixels, labels, start)))
            robust = robust & (scores.argmax(1) == labels)
            loss = loss.maximum(F.cross_entropy(scores, labels, reduction="none"))
        return torch.stack([loss.sum(), right.sum(), robust.sum()])

    def changed(
        self, attack: Attack, model: nn.Module, pixels: Tensor, labels: Tensor, start: Tensor | None = None
    ) -> Tensor:
        """Return images within epsilon of `pixels` and within [0, 1] that `model` has a larger loss on.

        Args:
            attack: how to look for them.
            model: gives scores of normalised images; its parameters get no gradients.
            pixels: float32 [b, C, H, W] in [0, 1].
            labels: int64 [b].
            start: where to begin in the budget, in [0, 1] of the shape of `pixels`; default at the image.

        Raises:
            RecipeError: the network ends in one class, for which nothing else can be taken.
        """
        low, high = (pixels - attack.epsilon).clamp(min=0), (pixels + attack.epsilon).clamp(max=1)
        found = pixels if start is None else (pixels + attack.epsilon * (2 * start - 1)).clamp(low, high)
        model = plain_model(model)
        with torch.enable_grad(), _evaluated(model):
            for _ in range(attack.steps):
                found = found.detach().requires_grad_()
                scores = model(self._normalize.of_pixels(found))
                if scores.shape[1] < 2:
                    raise RecipeError(
                        "task.adversarial: the network ends in one class, which is right whatever it sees"
                    )
                loss = F.cross_entropy(scores, labels, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, found)
                found = (found.detach() + attack.step * gradient.sign()).clamp(low, high)
        return found.detach()


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[None]:
    """Have `model` in evaluation mode; afterwards each of its modules is in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
