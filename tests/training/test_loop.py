import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from made_task import CPU, MadeImages, OneWeight, one_weight
from torch import Tensor, nn

from ticketzoo.errors import DataError, RecipeError, RunError
from ticketzoo.models.state import State
from ticketzoo.training import Record, TrainingConfig, train
from ticketzoo.training.callbacks import Callbacks


def config(**keys: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({"steps": "1it", "optimizer": {"lr": 0.1}, **keys})


def square(weight: Tensor) -> Tensor:
    return weight**2  # its gradient is 2w


def weight_after(training: TrainingConfig, *, start: float = 2.0) -> float:
    model = one_weight(start)
    train(model, OneWeight(square), training, seed=0, device=CPU)
    return model.weight.item()


def small_net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.3), nn.Linear(5, 2)
        )


def assert_equal(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def snapshots(model: nn.Module, task: Any, training: TrainingConfig, *steps: int) -> dict[int, State]:
    taken: dict[int, State] = {}
    train(model, task, training, seed=0, device=CPU, callbacks=Callbacks(steps, taken.__setitem__))
    return taken


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, 1.6),  # 2 - 0.1 * 4
        ({"steps": "2it"}, 1.28),  # 1.6 - 0.1 * 3.2
        ({"steps": "2it", "optimizer": {"lr": 0.1, "momentum": 0.5}}, 1.08),  # 1.6 - 0.1 * (3.2 + 0.5 * 4)
        ({"optimizer": {"lr": 0.1, "weight_decay": 0.5}}, 1.5),  # 2 - 0.1 * (4 + 0.5 * 2)
        ({"optimizer": {"name": "adamw", "lr": 0.1, "weight_decay": 0.5}}, 1.8),  # 2 * (1 - 0.1 * 0.5) - 0.1
        ({"optimizer": {"name": "adam", "lr": 0.1}}, 1.9),  # the first Adam step is lr long
        ({"optimizer": {"name": "rmsprop", "lr": 0.1, "alpha": 0.75}}, 1.8),  # the mean square is 4: 2 - 0.1 * 4 / 2
        ({"clip_norm": 1.0}, 1.9),  # the gradient 4 cut to 1
        ({"clip_norm": 5.0}, 1.6),
        ({"schedule": {"warmup": "2it"}}, 1.8),  # half the rate
        ({"steps": "2it", "schedule": {"name": "step", "milestones": ["1it"]}}, 1.568),  # 1.6 - 0.01 * 3.2
    ],
)
def test_an_update_is_what_the_optimiser_s_formula_says(keys: dict[str, Any], expected: float) -> None:
    assert weight_after(config(**keys)) == pytest.approx(expected, abs=1e-6)


def test_an_epoch_is_as_many_updates_as_the_task_has_batches() -> None:
    assert weight_after(config(steps="1ep")) == pytest.approx(2 * 0.8**4)


def test_best_is_the_first_minimum_of_the_validation_loss_and_the_test_is_read_there() -> None:
    # The weight falls by 1 at each update, so after k of them it is -k.
    validation = {-1: 5.0, -2: 3.0, -3: 4.0, -4: 3.0, -5: 6.0}
    task = OneWeight(lambda weight: weight, validation=lambda w: validation[round(w)], test=lambda w: -10 * w)
    training = config(steps="5it", optimizer={"lr": 1.0}, evaluate_every="1it")
    record = train(one_weight(0.0), task, training, seed=0, device=CPU)
    assert (record.best["step"], record.best["validation_loss"], record.best["test_loss"]) == (2, 3.0, 20.0)
    assert (record.final["step"], record.final["validation_loss"], record.final["test_loss"]) == (5, 6.0, 50.0)
    assert [(point["step"], point["validation_loss"]) for point in record.curve] == [
        (1, 5.0), (2, 3.0), (3, 4.0), (4, 3.0), (5, 6.0)
    ]  # fmt: skip
    assert [point["train_loss"] for point in record.curve] == [0.0, -1.0, -2.0, -3.0, -4.0]  # before each update
    assert [weight for split, weight in task.looked_at if split == "test"] == [-1.0, -2.0, -5.0]


def test_the_test_split_chooses_nothing() -> None:
    def trained(test_sign: int) -> tuple[Record, float]:
        model = one_weight(0.0)
        task = OneWeight(lambda w: w, validation=lambda w: (w + 3) ** 2, test=lambda w: test_sign * w)
        training = config(steps="5it", optimizer={"lr": 1.0}, evaluate_every="1it")
        return train(model, task, training, seed=0, device=CPU), model.weight.item()

    (up, up_weight), (down, down_weight) = trained(1), trained(-1)
    assert up.best["step"] == down.best["step"] == 3
    assert (up.best["test_loss"], down.best["test_loss"]) == (-3.0, 3.0)
    assert up_weight == down_weight


@pytest.mark.parametrize(
    ("every", "steps"), [("2it", [2, 4, 5]), ("1ep", [4, 5]), ("9it", [5]), ("0.01ep", [1, 2, 3, 4, 5])]
)
def test_validation_is_looked_at_as_often_as_asked_and_at_the_end(every: str, steps: list[int]) -> None:
    task = OneWeight(square, validation=lambda weight: 1.0)
    record = train(one_weight(1.0), task, config(steps="5it", evaluate_every=every), seed=0, device=CPU)
    assert [point["step"] for point in record.curve] == steps


def test_without_a_validation_split_there_is_only_the_end() -> None:
    task = OneWeight(square)
    record = train(one_weight(1.0), task, config(steps="5it", evaluate_every="1it"), seed=0, device=CPU)
    assert (record.best, record.curve) == ({}, [])
    assert record.final["step"] == 5
    assert [split for split, _ in task.looked_at] == ["test"]


def test_looking_does_not_change_the_training() -> None:
    often, seldom = small_net(), small_net()
    for model, every in ((often, "1it"), (seldom, "8it")):
        train(model, MadeImages(), config(steps="8it", batch_size=4, evaluate_every=every), seed=0, device=CPU)
    assert_equal(often.state_dict(), seldom.state_dict())


def test_the_caller_s_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    train(small_net(), MadeImages(), config(steps="3it", batch_size=4), seed=0, device=CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_same_seed_same_bits_whatever_happened_before() -> None:
    models = [small_net(), small_net()]
    records = []
    for model in models:
        torch.rand(3)
        training = config(steps="8it", batch_size=6, evaluate_every="3it")
        records.append(train(model, MadeImages(), training, seed=7, device=CPU))
    assert_equal(models[0].state_dict(), models[1].state_dict())
    assert records[0].curve == records[1].curve


def test_order_and_augmentation_follow_the_seed_and_not_the_weights() -> None:
    def streams(seed: int, model_seed: int) -> tuple[list[list[int]], list[float]]:
        task = MadeImages()
        train(small_net(model_seed), task, config(steps="8it", batch_size=6), seed=seed, device=CPU)
        return task.seen, task.noises

    assert streams(0, model_seed=0) == streams(0, model_seed=1)
    order, noises = streams(0, model_seed=0)
    other_order, other_noises = streams(1, model_seed=0)
    assert order != other_order
    assert not set(noises) & set(other_noises)


def test_augmentation_does_not_disturb_the_order_nor_each_other_s_steps() -> None:
    plain, noisy = MadeImages(noise=0.0), MadeImages(noise=0.5)
    for task in (plain, noisy):
        train(small_net(), task, config(steps="8it", batch_size=6), seed=0, device=CPU)
    assert plain.seen == noisy.seen
    assert len(set(noisy.noises)) == 8


def test_a_snapshot_is_a_copy_that_training_does_not_change() -> None:
    """Trap 1: a snapshot without a clone "rewinds" to the trained weights."""
    model = one_weight(2.0)
    snapshot = snapshots(model, OneWeight(square), config(steps="3it"), 1)[1]
    assert snapshot["weight"].item() == pytest.approx(1.6)
    assert model.weight.item() == pytest.approx(2 * 0.8**3)


@pytest.mark.parametrize(("step", "weight"), [(0, 2.0), (3, 2 * 0.8**3)])
def test_a_snapshot_may_be_of_the_start_or_the_end(step: int, weight: float) -> None:
    taken = snapshots(one_weight(2.0), OneWeight(square), config(steps="3it"), step)
    assert taken[step]["weight"].item() == pytest.approx(weight)


def test_several_snapshots_may_be_taken() -> None:
    taken = snapshots(one_weight(2.0), OneWeight(square), config(steps="3it"), 0, 2, 3)
    assert {step: state["weight"].item() for step, state in taken.items()} == pytest.approx(
        {0: 2.0, 2: 2 * 0.8**2, 3: 2 * 0.8**3}
    )


def test_a_snapshot_has_the_buffers_too() -> None:
    training = config(steps="3it", batch_size=4)
    snapshot = snapshots(small_net(), MadeImages(), training, 2)[2]
    assert snapshot["2.num_batches_tracked"].item() == 2
    assert snapshot.keys() == small_net().state_dict().keys()


def test_a_training_from_step_k_goes_on_as_the_one_from_0_did() -> None:
    """Batches, augmentation, dropout and learning rate from k on are those of the whole training."""
    training = config(steps="2ep", batch_size=4, schedule={"name": "cosine", "warmup": "3it"}, evaluate_every="2it")
    whole, whole_task = small_net(), MadeImages()
    taken: dict[int, State] = {}
    record = train(whole, whole_task, training, seed=3, device=CPU, callbacks=Callbacks([5], taken.__setitem__))
    rest, rest_task = small_net(), MadeImages()
    rest.load_state_dict(taken[5])
    rest_record = train(rest, rest_task, training, seed=3, device=CPU, start_step=5)
    assert rest_task.seen == whole_task.seen[5:]
    assert rest_task.noises == whole_task.noises[5:]
    assert_equal(rest.state_dict(), whole.state_dict())  # SGD without momentum has no memory
    assert rest_record.final == record.final
    assert [point["step"] for point in rest_record.curve] == [6, 8]


@pytest.mark.parametrize(("start", "weight"), [(0, -4.5), (2, -3.75), (5, -1.0)])
def test_a_training_from_step_k_warms_up_from_there(start: int, weight: float) -> None:
    """The gradient is 1: the weight falls by the rates of steps k to 5, of 1/4, 1/2, 3/4, 1, 1, 1."""
    model = one_weight(0.0)
    training = config(steps="6it", optimizer={"lr": 1.0}, schedule={"warmup": "4it"})
    train(model, OneWeight(lambda weight: weight), training, seed=0, device=CPU, start_step=start)
    assert model.weight.item() == pytest.approx(weight)


@pytest.mark.parametrize(("steps", "start", "said"), [("0.1ep", 0, "0.1ep is 0 iterations"), ("5it", 5, "after 5")])
def test_a_training_of_no_updates_is_refused(steps: str, start: int, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        train(one_weight(1.0), OneWeight(square), config(steps=steps), seed=0, device=CPU, start_step=start)


@pytest.mark.parametrize(
    ("loss_of", "rate", "said"),
    [
        (square, 1e6, "train_loss is inf after 5 iterations"),  # |w| is 2 * (2 * 10^6)^4 then, its square over 3.4e38
        (lambda weight: weight, 1e38, "validation_loss is -inf after 4 iterations"),  # w is 2 - 4 * 10^38
    ],
)
def test_a_training_that_diverges_says_so_and_when(loss_of: Callable[[Tensor], Tensor], rate: float, said: str) -> None:
    task = OneWeight(loss_of, validation=lambda weight: weight)
    training = config(steps="200it", optimizer={"lr": rate}, evaluate_every="1it")
    with pytest.raises(RunError, match=f"^training diverged: {said}; lower training.optimizer.lr$"):
        train(one_weight(2.0), task, training, seed=0, device=CPU)


class SpoiltImages(MadeImages):
    """Images of which one is no number; a batch holds the images themselves."""

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Any]:
        self.images[3, 0, 0, 0] = torch.nan
        for rows in super().batches(batch_size, seed, start, stop, device):
            yield {"images": self.images[rows], "rows": rows}

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return nn.functional.cross_entropy(model(batch["images"]), self.labels[batch["rows"]])

    def size(self, batch: Any) -> int:
        return len(batch["rows"])


def test_data_that_hold_no_numbers_are_named_in_place_of_the_learning_rate() -> None:
    task, training = SpoiltImages(), config(steps="8it", batch_size=4)
    (bad,) = [step for step, rows in enumerate(MadeImages().batches(4, 0, 0, 4, CPU)) if 3 in rows]
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    said = f"^task made: the batch of iteration {bad} has 1 numbers that are NaN or infinite: mend the data"
    with pytest.raises(DataError, match=said):
        train(model, task, training, seed=0, device=CPU)


def test_without_validation_divergence_is_seen_at_the_end() -> None:
    with pytest.raises(RunError, match="train_loss is nan after 99 iterations"):
        train(one_weight(2.0), OneWeight(square), config(steps="99it", optimizer={"lr": 1e6}), seed=0, device=CPU)


def test_a_test_loss_that_is_no_number_is_divergence_too() -> None:
    task = OneWeight(square, validation=lambda weight: weight, test=lambda weight: math.inf)
    with pytest.raises(RunError, match="test_loss is inf after 1 iterations"):
        train(one_weight(2.0), task, config(), seed=0, device=CPU)


@pytest.mark.parametrize(("precision", "in_training"), [("bf16", torch.bfloat16), ("auto", torch.float32)])
def test_half_precision_is_that_of_the_forward_pass_alone(precision: str, in_training: torch.dtype) -> None:
    """On the CPU `auto` is none."""
    seen = []

    class Watched(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x.flatten(1))
            seen.append((self.training, y.dtype))
            return y

    model = Watched(4, 2)
    train(model, MadeImages(), config(steps="2it", batch_size=8, precision=precision), seed=0, device=CPU)
    assert {dtype for training, dtype in seen if training} == {in_training}
    assert (False, torch.float32) in seen
    assert model.weight.dtype == torch.float32


def test_progress_ends_with_the_last_step() -> None:
    told: list[tuple[int, int]] = []
    train(
        one_weight(2.0), OneWeight(square), config(steps="9it"), seed=0, device=CPU,
        callbacks=Callbacks(on_progress=lambda step, total: told.append((step, total))),
    )  # fmt: skip
    assert told[-1] == (9, 9)
    assert all(step <= 9 and total == 9 for step, total in told)
