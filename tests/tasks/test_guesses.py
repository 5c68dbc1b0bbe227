"""What a network scores that takes no notice of its input."""

import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn

from ticketzoo.tasks import TaskConfig, create_task
from ticketzoo.tasks.metrics import guessed_classes
from ticketzoo.tasks.own import OwnTask

CPU = torch.device("cpu")


class Always(nn.Module):
    """Says one class, whatever it is shown."""

    def __init__(self, guess: int, count: int) -> None:
        super().__init__()
        self.scores = torch.nn.functional.one_hot(torch.tensor(guess), count).float()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.scores.expand(len(inputs), -1)


def test_shares_and_f1_of_two_classes() -> None:
    guesses = guessed_classes(torch.tensor([0, 1, 1, 1]), 2)
    assert guesses == {"accuracy": [0.25, 0.75], "matthews": [0.0, 0.0], "f1": [0.0, 1.5 / 1.75]}
    assert guesses["f1"][1] == pytest.approx(f1_score([0, 1, 1, 1], [1, 1, 1, 1]))


def test_a_class_that_is_not_there_scores_nothing() -> None:
    assert guessed_classes(torch.tensor([0, 0, 2]), 4)["accuracy"] == [2 / 3, 0.0, 1 / 3, 0.0]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_images_of_digits(split: str) -> None:
    section = {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "validation": 50}}
    task = create_task(parsed(section))
    guessed = task.guesses(split)["accuracy"]
    assert guessed == [task.evaluate(Always(guess, 3), split, CPU)["accuracy"] for guess in range(3)]


def test_own_examples() -> None:
    examples = torch.zeros(5, 2), torch.tensor([0, 2, 2, 1, 2])
    task = OwnTask(examples, examples)
    assert task.guesses("test") == {"accuracy": [0.2, 0.2, 0.6]}
    assert task.evaluate(Always(2, 3), "test", CPU)["accuracy"] == 0.6


def test_labels_that_cross_entropy_leaves_out_are_no_class() -> None:
    examples = torch.zeros(4, 2), torch.tensor([0, 1, -100, 1])
    task = OwnTask(examples, examples)
    assert task.guesses("test") == {"accuracy": [0.25, 0.5]}
    assert task.evaluate(Always(1, 2), "test", CPU)["accuracy"] == 0.5


def test_values_to_predict_have_no_constant_guess() -> None:
    assert OwnTask((torch.zeros(2, 1), torch.zeros(2, 1)), (torch.zeros(2, 1), torch.zeros(2, 1))).guesses("test") == {}


def parsed(section: dict[str, object]) -> TaskConfig:
    from ticketzoo.finding import FindRecipe
    from ticketzoo.recipe import parse_recipe

    recipe = {"name": "lenet.digits-imp", "model": "lenet-300-100", "task": section}
    return parse_recipe(recipe, FindRecipe, "test").task
