import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ticketzoo.recipe import Steps
from ticketzoo.training import OptimizerConfig, ScheduleConfig, TrainingConfig
from ticketzoo.training.optim import create_optimizer


def test_each_optimiser_is_pytorch_s_with_the_recipe_s_values() -> None:
    parameters = list(nn.Linear(2, 1).parameters())
    sgd = create_optimizer(OptimizerConfig(lr=0.3, momentum=0.9, nesterov=True, weight_decay=0.01), parameters)
    adam = create_optimizer(OptimizerConfig(name="adam", lr=0.3, betas=(0.8, 0.99), eps=1e-6), parameters)
    adamw = create_optimizer(OptimizerConfig(name="adamw", lr=0.3, weight_decay=0.01), parameters)
    rmsprop = create_optimizer(OptimizerConfig(name="rmsprop", lr=0.3, alpha=0.9, weight_decay=0.01), parameters)
    assert [type(optimizer) for optimizer in (sgd, adam, adamw, rmsprop)] == [
        torch.optim.SGD,
        torch.optim.Adam,
        torch.optim.AdamW,
        torch.optim.RMSprop,
    ]
    (group,) = sgd.param_groups
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.3, 0.9, True, 0.01)
    (group,) = adam.param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.3, (0.8, 0.99), 1e-6, 0)
    (group,) = adamw.param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.999), 1e-8, 0.01)
    (group,) = rmsprop.param_groups
    assert (group["lr"], group["alpha"], group["eps"], group["weight_decay"]) == (0.3, 0.9, 1e-8, 0.01)
    assert (group["momentum"], group["centered"]) == (0, False)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "adam", "momentum": 0.9}, "adam has no momentum"),
        ({"name": "adamw", "nesterov": True}, "adamw has no nesterov"),
        ({"name": "sgd", "eps": 1e-3}, "sgd has no eps"),
        ({"name": "adam", "alpha": 0.9}, "adam has no alpha"),
        ({"name": "rmsprop", "betas": [0.5, 0.9], "momentum": 0.9}, "rmsprop has no betas, momentum"),
        ({"name": "sgd", "nesterov": True}, "nesterov needs a momentum above 0"),
        ({"name": "lion"}, "'sgd', 'adam', 'adamw' or 'rmsprop'"),
        ({"lr": 0}, "greater than 0"),
        ({"lr": -0.1}, "greater than 0"),
        ({"lr": float("inf")}, "finite"),
        ({"momentum": 1}, "less than 1"),
        ({"weight_decay": -1e-4}, "greater than or equal to 0"),
    ],
)
def test_an_impossible_optimiser_is_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OptimizerConfig.model_validate(config)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_dumped_optimiser_reads_back_though_it_shows_keys_of_others(name: str) -> None:
    config = OptimizerConfig.model_validate({"name": name})
    assert OptimizerConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "step"}, "milestones"),
        ({"name": "cosine", "milestones": ["1ep"]}, "milestones"),
        ({"name": "cosine", "gamma": 0.5}, "gamma goes with the schedule 'step'"),
        ({"name": "step", "milestones": ["1ep"], "gamma": 0}, "greater than 0"),
        ({"warmup": "-1ep"}, "500it"),
    ],
)
def test_an_impossible_schedule_is_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ScheduleConfig.model_validate(config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"steps": "0ep"}, "steps must be longer than 0"),
        ({"evaluate_every": "0it"}, "evaluate_every must be longer than 0"),
        ({"batch_size": 0}, "greater than 0"),
        ({"clip_norm": 0}, "greater than 0"),
        ({"precision": "fp16"}, "'fp32', 'bf16' or 'auto'"),
    ],
)
def test_an_impossible_training_is_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainingConfig.model_validate(config)


def test_the_defaults_are_these() -> None:
    config = TrainingConfig()
    assert (config.steps, config.batch_size, config.precision) == (Steps(20, "ep"), 128, "fp32")
    assert (config.optimizer.name, config.optimizer.lr, config.schedule.name) == ("sgd", 0.1, "constant")
