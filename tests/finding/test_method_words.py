"""Cards say what the tables say: words and citations of method, criterion, structure, scope, schedule and arms."""

from pathlib import Path

from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.method import found_words
from ticketzoo.recipe import parse_recipe


def words(method: str, **parts: str) -> dict[str, str]:
    return found_words({"method": method, "scope": "global", **parts})


def test_the_usual_way() -> None:
    assert words("imp") == {
        "method": "iterative magnitude pruning (Frankle & Carbin 2019, section 2; Frankle et al. 2020, algorithm 2)",
        "criterion": "smallest magnitude after training (Frankle & Carbin 2019, section 2)",
        "structure": "single weights (LeCun et al. 1990)",
        "scope": "all layers ranked together (Frankle & Carbin 2019, section 4)",
    }


def test_other_parts_and_names_that_no_table_has() -> None:
    said = words("one-shot", criterion="movement", schedule="levels")
    assert said["method"].startswith("one-shot movement pruning of the trained dense network")
    assert said["criterion"] == "smallest movement in the last training (Zhou et al. 2019, section 3)"
    assert said["schedule"] == "a list of sparsities, one a level (Frankle et al. 2021, section 2)"
    assert "criterion" not in words("edge-popup")
    grasp = words("at-init", criterion="grasp")["criterion"]
    assert grasp.startswith("weights whose removal raises the gradient's norm most, or lowers it least, go (Wang")
    assert words("theirs", criterion="ours", scope="erk").keys() == {"structure", "scope"}


def test_the_card_of_a_ticket_that_was_found(tmp_path: Path) -> None:
    recipe = {
        "name": "lenet.digits",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 64}},
        "training": {"steps": "4it", "batch_size": 16},
        "finder": {"levels": 1, "prune": {"criterion": "large-final-same-sign", "scope": "layerwise"}},
        "arms": ["ticket", "dense", "random_reinit"],
        "seeds": [0],
    }
    _, folder = find_and_package(parse_recipe(recipe, FindRecipe, "test"), tmp_path)
    card = (folder / "README.md").read_text().replace("&amp;", "&").replace("\\", "")
    assert "by iterative large-final-same-sign pruning (Frankle & Carbin 2019, section 2;" in card
    assert "- **criterion**: change of sign in the last training, then smallest magnitude after it (Zhou et al." in card
    assert "- **scope**: each layer ranked alone (Frankle & Carbin 2019, section 2)" in card
    assert "- random reinit: masks the ticket's; weights a fresh initialisation (Frankle & Carbin 2019)" in card
