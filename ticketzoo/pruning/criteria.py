"""The table of criteria: what the weights of a network are worth. Each is a function from a probe to scores.

Weights of highest score stay. The row here is magnitude; chance is in `chance.py`, those of Zhou et al. 2019 in
`zhou.py`, and those that look at data or at the network in `saliency.py`, `synflow.py`, `phew.py`, `obd.py`, `wanda.py`
and `sparsegpt.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import torch
from pydantic import Field, SerializationInfo, model_serializer
from torch import Tensor

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.masks import Masks, kept
from ticketzoo.pruning.part import Part, PartConfig
from ticketzoo.pruning.probe import Probe
from ticketzoo.recipe.reading import EVERY_KEY
from ticketzoo.util.registry import Registry
from ticketzoo.util.text import for_terminal

Scores: TypeAlias = Mapping[str, Tensor]
"""A float for each weight, by parameter name, of the parameter's shape. Signs count: the highest stay."""


class Ranking(NamedTuple):
    """Scores, and the weights that stay before all others: those that are not eligible go first, lowest score first."""

    scores: Scores
    eligible: Mapping[str, Tensor] | None = None
    """A bool for each weight, by parameter name; None where all are eligible."""
    masks: Masks | None = None
    """What stays, of a criterion that prunes as it scores; scores are then none."""
    values: Mapping[str, Tensor] | None = None
    """New values of the weights that such a criterion changed."""

    def inverted(self, by_magnitude: bool) -> "Ranking":
        """Return the ranking in which whatever went last goes first; equal scores go by their places as before."""
        scores = {name: score.float().abs() if by_magnitude else score for name, score in self.scores.items()}
        eligible = None if self.eligible is None else {name: ~may for name, may in self.eligible.items()}
        return Ranking({name: -score for name, score in scores.items()}, eligible)

    def others(self, masks: Masks) -> Masks:
        """Return the kept weights that are not eligible."""
        return {name: mask & ~self.eligible[name].to(mask.device) for name, mask in masks.items() if self.eligible}

    def only_eligible(self, masks: Masks) -> Masks:
        """Return the kept weights that are eligible."""
        eligible = self.eligible or masks
        return {name: mask & eligible[name].to(mask.device) for name, mask in masks.items()}


class OnTheWay(NamedTuple):
    """All that a criterion needs that prunes as it scores: see `Pruner`."""

    keep: Mapping[str, int]
    """How many weights of each parameter stay."""
    best: Callable[[Scores], Masks]
    """Gives the masks of the parameters that have scores, as the recipe's scope and structure say."""


class CriterionConfig(PartConfig):
    """The keys that every criterion has. Keys at their defaults are not written into the recipe that a ticket keeps.

    Attributes:
        name: name of the criterion.
        sign: weights that stay before all others: those whose sign is the `same` as at the start of the last training,
            or `diff`, another (Zhou et al. 2019, section 3). The sign of 0 is 0. If fewer are eligible than stay, the
            best of the others fill up, and the run says how many.
        single: keep all eligible weights and no other, however many they are: counts of the schedule do not hold.
        iterations: how often to score on the way to a level. Each time the network is scored anew under the masks so
            far, and the number of survivors falls by the same factor.
    """

    sign: Literal["same", "diff"] | None = None
    single: bool = False
    iterations: Annotated[int, Field(ge=1, le=10_000)] = 1

    @model_serializer(mode="wrap")
    def _in_short(  # type: ignore[override]
        self, write: Callable[[Any], dict[str, Any]], info: SerializationInfo
    ) -> Any:
        if info.context and info.context.get(EVERY_KEY):
            return {key: getattr(self, key) for key in ("name", *type(self).model_fields)}
        content = {"name": self.name} | self.keys
        return self.name if len(content) == 1 else content

    @property
    def keys(self) -> dict[str, Any]:
        """The keys that are not at their defaults."""
        keys = {key: getattr(self, key) for key in type(self).model_fields}
        return {key: value for key, value in keys.items() if key != "name" and value != self._default(key)}

    def _default(self, key: str) -> Any:
        return type(self).model_fields[key].get_default(call_default_factory=True)


@dataclass(frozen=True)
class Criterion(Part):
    """A row of `CRITERIA`. `make(probe)` gives the scores, or a `Ranking`: scores and which weights are eligible.

    Attributes:
        words: what a card says the weights are removed by.
        by_magnitude: whether weights are ranked by the absolute value of their scores, compared as float32.
        needs_training: whether weights are compared with what their training started from: before it all are equal.
        of_single_weights: whether sums of scores over a filter mean nothing, as with eligible weights.
        inverts: whether keeping the lowest scores instead says something.
        sets_layers: whether it decides itself how many weights of each layer stay. Its `make` is also given `count`,
            the number that stays of all.
        scored_anew: whether scoring in steps makes a difference; otherwise the key `iterations` is refused.
        of_weights: whether it looks at weights alone, never at what the network computes.
        in_order: whether it prunes a network part by part as it scores, so that layers cannot be ranked together. Its
            `make` is also given `on_the_way`, an `OnTheWay`, and gives a `Ranking` of masks.
        scope: of recipes that state none.
        tried: `tried(probe, config)` raises RunError of a network that cannot be scored; called before any training.
        sign: the key `sign`, of a criterion that is another one with it.
        asked: the keys that a recipe gave.
    """

    config: type[PartConfig] = CriterionConfig
    by_magnitude: bool = False
    needs_training: bool = False
    of_single_weights: bool = False
    inverts: bool = True
    sets_layers: bool = False
    scored_anew: bool = True
    of_weights: bool = False
    in_order: bool = False
    scope: str = "global"
    tried: Callable[[Probe, Any], object] | None = None
    sign: Literal["same", "diff"] | None = None
    asked: PartConfig | None = None

    def configured(self, config: PartConfig) -> "Criterion":
        """Return the row with the keys that a recipe gives it."""
        return replace(self, asked=config)

    @property
    def keys(self) -> CriterionConfig:
        """The keys that every criterion has, as the recipe gives them or at their defaults."""
        asked = self.asked or self.config(name=self.name)
        keys = asked if isinstance(asked, CriterionConfig) else CriterionConfig(name=self.name)
        return keys if self.sign is None else keys.model_copy(update={"sign": self.sign})

    def check_keys(self) -> None:
        """Raise ValueError for keys that do not go together."""
        keys, given = self.keys, getattr(self.asked, "sign", None)
        if self.sign and given:
            raise ValueError(f"criterion {self.name} has sign: {self.sign} in its name: leave sign out")
        if keys.single and keys.sign is None:
            raise ValueError("single keeps all eligible weights, and without sign: same or sign: diff all are")
        if keys.single and keys.iterations > 1:
            raise ValueError("single keeps all eligible weights at once: leave iterations out")
        if keys.iterations > 1 and not self.scored_anew:
            raise ValueError(f"criterion {self.name} gains nothing by scoring in steps: leave iterations out")

    def scores(self, probe: Probe) -> Scores:
        """Return the scores of `ranking`."""
        return self.ranking(probe).scores

    def ranking(self, probe: Probe, count: int | None = None, on_the_way: OnTheWay | None = None) -> Ranking:
        """Return scores and eligibility of all masked parameters, checked but for NaN, which ranking finds.

        Args:
            probe: the network that is scored.
            count: how many weights are to stay, for a criterion that sets the layers' numbers; default: all.
            on_the_way: how to prune, for a criterion that prunes as it scores.

        Raises:
            RunError: they do not fit the masks; the message says what came.
        """
        keywords: dict[str, Any] = {"count": count} if self.sets_layers else {}
        if self.in_order:
            keywords["on_the_way"] = on_the_way
        if self.config not in (PartConfig, CriterionConfig):
            keywords["config"] = self.asked or self.config(name=self.name)
        made = self.make(probe, **keywords)
        if isinstance(made, Ranking) and made.masks is not None:
            return made
        scores, eligible, *_ = made if isinstance(made, Ranking) else Ranking(made)
        if not isinstance(scores, Mapping):
            raise RunError(f"criterion {self.name!r} returned {_described(scores)}, not a tensor for each parameter")
        for name, mask in probe.masks.items():
            self._check(name, mask, scores, eligible)
        if (sign := self.keys.sign) is not None:
            eligible = _of_sign(sign, probe, eligible)
        if eligible is not None and self.by_magnitude:
            scores = {name: scores[name].abs() for name in probe.masks}
        return Ranking(scores, eligible)

    def check_scores(self, ranking: Ranking, masks: Masks, level: int) -> None:
        """Raise RunError where all survivors score 0, of a criterion of what the network computes."""
        scores = ranking.scores
        if self.of_weights or ranking.eligible is not None:
            return
        if not any(bool(scores[name][mask.to(scores[name].device)].any()) for name, mask in masks.items()):
            what = f"level {level}: criterion {self.name!r} scores all {kept(masks):,} kept weights 0"
            remedy = "keep more weights, raise iterations, or choose another criterion"
            raise RunError(f"{what}, as where nothing passes through the network: {remedy}")

    def _check(self, name: str, mask: Tensor, scores: Scores, eligible: Mapping[str, Tensor] | None) -> None:
        if name not in scores:
            others = ", ".join(for_terminal(repr(other)) for other in list(scores)[:5]) or "nothing"
            raise RunError(f"criterion {self.name!r} returned no scores of '{name}', only of {others}")
        given = scores[name]
        if not isinstance(given, Tensor) or given.shape != mask.shape or not given.is_floating_point():
            needed = f"not float {list(mask.shape)}"
            raise RunError(f"criterion {self.name!r} returned for '{name}' {_described(given)}, {needed}")
        may = mask if eligible is None else eligible.get(name)
        if not isinstance(may, Tensor) or may.shape != mask.shape or may.dtype is not torch.bool:
            what = f"criterion {self.name!r} returned as eligible of '{name}' {_described(may)}"
            raise RunError(f"{what}, not bool {list(mask.shape)}")


def _of_sign(
    sign: Literal["same", "diff"], probe: Probe, eligible: Mapping[str, Tensor] | None
) -> Mapping[str, Tensor]:
    """Return the eligible weights whose sign is the same as at the start of their training, or another."""
    found = {}
    for name in probe.masks:
        same = probe.weights[name].sign() == probe.start[name].sign()
        may = same if sign == "same" else ~same
        found[name] = may if eligible is None else may & eligible[name]
    return found


def _described(value: object) -> str:
    """Return type and shape of a value, in a few words."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return f"a {type(value).__name__}"


CRITERIA: Registry[Criterion] = Registry("criterion", Criterion, error=RecipeError)


@CRITERIA.add(
    "magnitude",
    cite="Frankle & Carbin 2019, section 2",
    words="smallest magnitude after training",
    by_magnitude=True,
    scored_anew=False,
    of_weights=True,
)
def magnitude(probe: Probe) -> Scores:
    """Score by |w|, of the weights as they are."""
    return probe.weights
