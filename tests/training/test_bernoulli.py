"""Learned Bernoulli masks (Zhou et al. 2019, section 5): logits learn the probability of keeping each frozen weight."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_task import CPU, Stopped
from test_edge_popup import Digits, learned_in, popup_job
from torch import nn

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.runs.store import Job
from ticketzoo.training.bernoulli import Bernoulli, effective, sampled_masks
from ticketzoo.training.parametrisation import NOTHING

W, A = torch.tensor([0.5, -1.0, 2.0, 0.25]), [0.0, 2.0, -1.0, 0.5]


@pytest.mark.parametrize(
    ("rescaled", "y", "gradient"),
    [(False, -1.5, [-0.5625, 0.9449, 1.7695, -1.0575]), (True, -3.0, [-3.75, 1.5749, 2.9492, -4.9351])],
)
def test_forward_and_backward_are_those_of_the_paper(rescaled: bool, y: float, gradient: list[float]) -> None:
    """Sampled are weights 0 and 1: 0.5 * 1 - 1 * 2 = -1.5, or twice that where half the weights stand for all."""
    logits = torch.tensor(A, requires_grad=True)
    output = effective(W, logits.sigmoid(), torch.tensor([1.0, 1.0, 0.0, 0.0]), rescaled=rescaled) @ torch.tensor(
        [1.0, 2.0, -1.0, 4.0]
    )
    (0.5 * (output - 3) ** 2).backward()
    assert output.item() == y
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx(gradient, abs=5e-5)


def layer_of(learn: Bernoulli) -> nn.Linear:
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = W.view(1, 4).clone()
    (logits,) = learn.install(layer, {"weight": torch.ones(1, 4, dtype=torch.bool)}, seed=0)
    assert not logits.any()
    logits.data = torch.tensor([A])
    return layer


def test_the_mask_is_of_logits_above_0_and_a_ticket_holds_what_the_network_computes_with() -> None:
    layer = layer_of(Bernoulli(rescaled=True)).eval()
    learned = Bernoulli(rescaled=True).learned(layer)
    assert learned.masks["weight"].tolist() == [[False, True, False, True]]  # a logit of 0 has learned nothing
    assert learned.weights["weight"].tolist() == [[1.0, -2.0, 4.0, 0.5]]
    assert layer.weight.tolist() == [[0.0, -2.0, 0.0, 0.5]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_layer_larger_than_float16_counts_is_rescaled_by_the_fraction_kept(dtype: torch.dtype) -> None:
    """Of 90,000 weights 30,000, or all, are kept; float16 ends at 65,504."""
    state, mask = {"w": torch.ones(300, 300, dtype=dtype)}, torch.arange(90_000).view(300, 300) % 3 == 0
    for kept, factor in ((mask, 3.0), (torch.ones_like(mask), 1.0)):
        shown = Bernoulli(rescaled=True).shown(state, {"w": kept})["w"]
        sampled = effective(state["w"], torch.ones_like(state["w"]), kept.to(dtype), rescaled=True)
        assert (shown.dtype, shown.unique().tolist()) == (dtype, [factor])
        assert (sampled.dtype, sampled.max().item()) == (dtype, factor)


def test_weights_are_sampled_by_their_probabilities_and_a_sample_of_none_is_0() -> None:
    layer = layer_of(Bernoulli(rescaled=True)).train()
    samples = torch.stack([layer.weight.detach()[0] != 0 for _ in range(2000)])
    torch.testing.assert_close(samples.float().mean(0), torch.tensor(A).sigmoid(), atol=0.03, rtol=0)
    layer.parametrizations.weight[0].logits.data.fill_(-100)
    assert layer.weight.tolist() == [[0.0] * 4]


def bernoulli_job(*, rescaled: bool = True) -> Job:
    made = popup_job(training={"optimizer": {"lr": 20.0, "momentum": 0.9}})
    return replace(made, learn=Bernoulli(rescaled))


def logit_digests(folder: Path, job: Job) -> list[str]:
    learned = learned_in(folder, job, checkpoint_seconds=0)
    return [masks_sha256(learned.masks), state_sha256(learned.weights), state_sha256(learned.extras["logits"])]


def test_a_training_stopped_after_any_update_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = logit_digests(tmp_path / "whole", bernoulli_job())
    assert whole != logit_digests(tmp_path / "other", replace(bernoulli_job(), seed=5))
    for stop in (1, 4):
        job, folder = bernoulli_job(), tmp_path / str(stop)
        job.task.stop_after = stop
        with pytest.raises(Stopped):
            logit_digests(folder, job)
        assert logit_digests(folder, bernoulli_job()) == whole


@pytest.mark.slow
def test_logits_solve_the_digits_as_they_are_measured(tmp_path: Path) -> None:
    digits = Digits("signed_constant", density=0.5, steps="4ep")
    training = digits.training.model_copy(update={"optimizer": digits.training.optimizer.model_copy(
        update={"lr": 100.0, "weight_decay": 0.0})})  # fmt: skip
    job = replace(digits.job(digits.start, digits.dense, Bernoulli(rescaled=True)), training=training)
    learned = learned_in(tmp_path, job)
    assert digits.accuracy(learned.weights, learned.masks) > 0.7
    as_it_is = replace(job, state=learned.weights, masks=learned.masks, learn=NOTHING).model(CPU).eval()
    assert digits.task.evaluate(as_it_is, "test", CPU)["accuracy"] > 0.7


def test_samples_follow_from_the_seed_and_keep_something() -> None:
    logits = {"w": torch.zeros(50, 50)}
    one = sampled_masks(logits, 1)["w"]
    assert torch.equal(one, sampled_masks(logits, 1)["w"])
    assert not torch.equal(one, sampled_masks(logits, 2)["w"])
    assert 0.45 < one.float().mean() < 0.55
    with pytest.raises(RunError, match="a sample of the learned mask keeps no weight; train longer"):
        sampled_masks({"w": torch.full((3,), -100.0)}, 0)


def test_a_mask_that_leaves_out_weights_is_refused() -> None:
    with pytest.raises(RecipeError, match="bernoulli learns which of all weights of 'weight' are kept"):
        Bernoulli().install(nn.Linear(2, 1), {"weight": torch.tensor([[True, False]])}, seed=0)


def test_what_is_learned_says_so_in_the_specification() -> None:
    assert Bernoulli().identity == {"learn": {"name": "bernoulli"}}
    assert Bernoulli(rescaled=True).identity == {"learn": {"name": "bernoulli", "rescaled": True}}
