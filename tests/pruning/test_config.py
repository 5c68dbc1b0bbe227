"""The keys of pruning: one meaning in two places is one text, and older recipes keep theirs."""

from typing import Any

import pytest
import torch
import yaml
from pydantic import Field, ValidationError
from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.pruning.config import PruneConfig, PruningConfig, dense_masks, stated
from ticketzoo.pruning.criteria import CRITERIA, Scores
from ticketzoo.pruning.part import PartConfig
from ticketzoo.pruning.probe import Probe, Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.schedule import RateConfig
from ticketzoo.recipe import dump_recipe, parse_recipe


def read(text: str) -> PruningConfig:
    return parse_recipe(yaml.safe_load(text), PruningConfig, "test")


def test_defaults_are_written_as_ever() -> None:
    assert dump_recipe(PruningConfig()) == "scope: global\nrate: 0.2\nrate_of: survivors\nrates: {}\nexclude: []\n"


def test_a_bare_name_is_a_criterion_and_the_other_keys_still_count() -> None:
    config = read("{prune: snip, scope: layerwise, rate: 0.3, rates: {fc3: 0.1}, exclude: [fc2]}")
    assert config.pruning.criterion.name == "snip"
    assert config.pruning.scope.name == "layerwise"
    assert config.pruning.schedule == RateConfig(rate=0.3, rates={"fc3": 0.1})
    assert config == read(
        "prune: {criterion: {name: snip}, scope: layerwise, schedule: {rate: 0.3, rates: {fc3: 0.1}}}\nexclude: [fc2]"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{rate: 0.3}",
        "{prune: movement}",
        "{prune: {structure: filter, schedule: {levels: [0.5, 0.9]}}}",
        "{prune: {scope: erk, schedule: {rate_of: original}}, include: ['*.bias']}",
    ],
)
def test_what_is_written_down_is_read_again(text: str) -> None:
    written = dump_recipe(read(text))
    assert read(written) == read(text)
    assert dump_recipe(read(written)) == written


def test_everything_is_written_once() -> None:
    written = yaml.safe_load(dump_recipe(read("{prune: snip, rate: 0.3}")))
    schedule = {"name": "rate", "rate": 0.3, "rate_of": "survivors", "rates": {}}
    parts = {"criterion": "snip", "structure": "weight", "scope": "global", "schedule": schedule}
    assert written == {"exclude": [], "prune": parts}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{rate: 0.3, prune: {schedule: {rate: 0.3}}}",
            "rate and prune.schedule say the same thing twice; write rate: null",
        ),
        ("{scope: layerwise, prune: {scope: global}}", "scope and prune.scope say the same thing twice"),
        ("{rates: {fc: 0.1}, prune: snip}", "rates (per layer) go with scope: layerwise"),
        ("{prune: snpi}", "prune: unknown criterion 'snpi'; did you mean snip"),
        ("{prune: {scope: erc}}", "prune.scope: unknown scope 'erc'; did you mean er or erk?"),
        ("{prune: {criterion: snip, shedule: {rate: 0.1}}}", "unknown key 'prune.shedule', did you mean 'schedule'?"),
        ("{prune: {schedule: {rates_of: original}}}", "unknown key 'prune.schedule.rates_of', did you mean 'rate_of'?"),
        ("{prune: {schedule: {levels: [0.9, 0.5]}}}", "sparsities must rise from level to level"),
        ("{prune: {schedule: {rate: 1.5}}}", "prune.schedule.rate: input should be less than 1 (got 1.5)"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_that_a_recipe_gives_can_be_taken_back() -> None:
    """As by --set on the command line, which cannot remove a key."""
    config = read("{scope: null, rate: null, prune: {scope: erk, schedule: {levels: [0.5]}}}")
    assert config == read("prune: {scope: erk, schedule: {levels: [0.5]}}")


def test_keywords_that_contradict_a_section_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"rate and prune\.schedule"):
        PruningConfig(prune=PruneConfig(), rate=0.5)


def test_patterns_of_a_schedule_are_looked_up() -> None:
    config = read("prune: {scope: layerwise, schedule: {rates: {conv1: 0.1}}}")
    with pytest.raises(RecipeError, match=r"finder.prune.schedule.rates: 'conv1' matches no layer"):
        dense_masks({"fc1.weight": torch.ones(2)}, config)


def test_a_ticket_states_what_is_so() -> None:
    assert stated(PruningConfig()) == {"scope": "global", "rate": 0.2, "rate_of": "survivors"}
    rates = {"fc3": 0.1, "*": 0.2}
    assert stated(read("{scope: layerwise, rates: {fc3: 0.1}}")) == {
        "scope": "layerwise", "rate": rates, "rate_of": "survivors",
    }  # fmt: skip
    assert stated(read("{prune: {criterion: snip, schedule: {levels: [0.5]}}}")) == {
        "scope": "global", "criterion": "snip", "schedule": "levels",
    }  # fmt: skip


def test_a_users_criterion_has_keys_of_its_own() -> None:
    class PowerConfig(PartConfig):
        name: str = "power"
        exponent: float = Field(default=1.0, gt=0)

    @CRITERIA.add("power", config=PowerConfig, cite="none", words="its power")
    def power(probe: Probe, *, config: PowerConfig) -> Scores:
        return {name: probe.weights[name] * config.exponent for name in probe.masks}

    config = read("prune: {criterion: {name: power, exponent: 3}, schedule: {rate: 0.5}}")
    weights: dict[str, Tensor] = {"w": torch.tensor([1.0, -2, 3, 4])}
    pruner = Pruner.of(config)
    assert pruner.criterion.scores(Weights(weights, {"w": torch.ones(4).bool()}))["w"].tolist() == [3, -6, 9, 12]
    written: Any = yaml.safe_load(dump_recipe(config))
    assert written["prune"]["criterion"] == {"name": "power", "exponent": 3.0}
