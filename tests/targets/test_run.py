import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.evaluation.arms import ARMS, Draw
from ticketzoo.evaluation.rows import Row
from ticketzoo.models import architecture_of, create_from_architecture
from ticketzoo.models.create import initial_state
from ticketzoo.pruning.config import PruningConfig, dense_masks
from ticketzoo.pruning.magnitude import prune_by_magnitude
from ticketzoo.recipe import Steps, dump_recipe, parse_recipe, read_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Job, Store
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.report import write_report
from ticketzoo.targets.run import Target, evaluate_transfer, load_targets, load_tickets, ticket_job
from ticketzoo.ticket import Found, Ticket
from ticketzoo.training import Record

CPU = torch.device("cpu")
RECIPES = [
    path for path in sorted(Path(__file__).parents[2].glob("recipes/**/*.yaml")) if "\ntargets:" in path.read_text()
]


def masks_of(state: dict[str, Tensor], rounds: int) -> dict[int, dict[str, Tensor]]:
    """Levels 0 to `rounds`: half of each layer's weights go each time, the smallest first."""
    config = PruningConfig(scope="layerwise", rate=0.5)
    levels = [dense_masks({name: state[name] for name in ("fc1.weight", "fc2.weight", "fc3.weight")}, config)]
    for _ in range(rounds):
        levels.append(prune_by_magnitude(state, levels[-1], config))
    return dict(enumerate(levels))


@functools.cache
def ticket(name: str = "lenet.digits-imp", size: int = 8) -> Ticket:
    """64 pixels, 15 and 5 hidden units, 5 classes; seeds 10 and 11, levels 1 to 3, rewound to step 7."""
    kwargs = {"in_shape": [1, size, size], "num_classes": 5, "width": 0.05}
    architecture = architecture_of("lenet-300-100", kwargs)
    states = {seed: create_from_architecture(architecture, seed=seed).state_dict() for seed in (10, 11)}
    return Ticket.create(
        name=name,
        architecture=architecture,
        task="image-classification",
        source={"dataset": "digits"},
        pruning={"method": "imp", "scope": "layerwise", "rate": 0.5},
        rewind_step=7,
        replicates=[Found(seed, masks_of(state, 3), state) for seed, state in states.items()],
        package_from=1,
    )


def digits(*classes: int, **keys: Any) -> dict[str, Any]:
    return {"task": {"type": "image-classification", "dataset": {"path": "digits", "classes": classes}}, **keys}


def recipe(**keys: Any) -> TransferRecipe:
    content = {
        "name": "transfer",
        "tickets": ["lenet.digits-imp"],
        "levels": [2],
        "targets": [digits(5, 6, 7)],
        "training": {"steps": "2it", "batch_size": 16, "optimizer": {"lr": 0.1}},
        "arms": ["ticket", "dense"],
        "seeds": [0],
    }
    return parse_recipe(content | keys, TransferRecipe, "test")


@functools.cache
def target(*classes: int, head: str = "dense") -> Target:
    return load_targets(recipe(targets=[digits(*classes, head=head)]), [])[0]


class Counted(Quiet):
    def __init__(self) -> None:
        self.announced = 0
        self.warned: list[str] = []
        self.labels: list[tuple[str, bool]] = []

    def planned(self, trainings: int) -> None:
        self.announced = trainings

    def warn(self, message: str) -> None:
        self.warned.append(message)

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.labels.append((label, trained))


def evaluate(asked: TransferRecipe, load: Callable[[str], Ticket], cells: Store) -> list[Row]:
    tickets = load_tickets(asked, load)
    return evaluate_transfer(asked, tickets, load_targets(asked, tickets), cells)


def transfer(folder: Path, *, progress: Counted | None = None, **keys: Any) -> list[Row]:
    asked = recipe(**keys)
    with Store(folder, device=CPU, progress=progress) as cells:
        return evaluate(asked, ticket, cells)


@pytest.mark.slow
def test_seeds_beyond_the_replicates_are_said_to_retrain_their_masks(tmp_path: Path) -> None:
    """The ticket has two; with looks it is said once, at the look that goes beyond them."""
    said = "lenet.digits-imp: 3 seeds retrain 2 replicates, so masks are used again"
    transfer(tmp_path, progress=(few := Counted()), seeds=[0, 1])
    rows = transfer(tmp_path, progress=(many := Counted()), seeds=[0, 1, 2])
    assert few.warned == []
    assert [line.startswith(said) for line in many.warned] == [True]
    for folder, seeds, there in (("two", (0, 1), 0), ("three", (0, 1, 2), 1)):
        (tmp_path / folder).mkdir()
        write_report(recipe(), [row for row in rows if row["seed"] in seeds], tmp_path / folder, [ticket()])
        assert (tmp_path / folder / "report.md").read_text().count("so masks are used again") == there
    for done, count in ((2, 1), (3, 0)):
        asked = recipe(seeds=[0, 1, 2, 3])
        with Store(tmp_path, device=CPU, progress=(later := Counted())) as cells:
            evaluate_transfer(asked, [ticket()], load_targets(asked, [ticket()]), cells, done=done)
        assert len(later.warned) == count


def test_a_head_of_another_size_really_is_used(tmp_path: Path) -> None:
    """Trap 5: a head swap that is dead code, and a test in which both heads have ten outputs."""
    job, _ = ticket_job(ticket(), target(5, 6, 7), seed=0)
    assert job.state["fc3.weight"].shape == (3, 5)
    assert ticket().rewind_state["fc3.weight"].shape == (5, 5)
    assert torch.equal(job.state["fc3.weight"], initial_state(job.architecture, 0)["fc3.weight"])
    with Store(tmp_path, device=CPU) as cells:
        final = cells.run(job, "ticket", keep_final=True).final_state()
    model = create_from_architecture(job.architecture, seed=0)
    model.load_state_dict(final)
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 3)
    assert (final["fc3.weight"] != 0).all(), "a dense head has no mask"
    assert (final["fc3.bias"] != job.state["fc3.bias"]).all(), "the head is trained"


def test_the_rest_of_the_ticket_moves_to_the_target_masked_and_rewound() -> None:
    job, known = ticket_job(ticket().at(level=2, seed=11), target(5, 6, 7), seed=0)
    view = ticket().at(level=2, seed=11)
    assert list(job.masks) == list(known) == ["fc1.weight", "fc2.weight"]
    start = {
        name: tensor.where(job.masks[name], 0) if name in job.masks else tensor for name, tensor in job.state.items()
    }
    for name, tensor in view.rewind_state.items():
        if not name.startswith("fc3"):
            assert torch.equal(start[name], tensor), name
    for name, mask in job.masks.items():
        assert torch.equal(mask, view.masks[name])
        assert torch.equal(known[name], view.at(level=1).masks[name])
    assert job.start_step == 0  # a target is trained from its beginning, wherever the source was rewound to


def test_a_random_head_has_the_ticket_s_density_there() -> None:
    levels = {
        level: ticket_job(ticket().at(level=level), target(5, 6, 7, head="random_mask"), 0)[0] for level in (1, 3)
    }
    # Of 25 weights the ticket's head keeps 13 and then 3 (12.5 to even, 6.5 to even, 3.5 to even); here it has 15.
    assert {level: int(job.masks["fc3.weight"].sum()) for level, job in levels.items()} == {1: 8, 3: 2}
    assert torch.equal(levels[1].state["fc3.weight"], initial_state(levels[1].architecture, 0)["fc3.weight"])
    other, _ = ticket_job(ticket().at(level=1), target(5, 6, 7, head="random_mask"), seed=1)
    assert not torch.equal(other.masks["fc3.weight"], levels[1].masks["fc3.weight"])
    assert list(other.masks) == ["fc1.weight", "fc2.weight", "fc3.weight"]


def test_a_kept_head_is_a_layer_like_any_other() -> None:
    view = ticket().at(level=2)
    job, known = ticket_job(view, target(0, 1, 2, 3, 4, head="keep"), seed=0)
    assert torch.equal(job.masks["fc3.weight"], view.masks["fc3.weight"])
    assert torch.equal(job.state["fc3.weight"].where(job.masks["fc3.weight"], 0), view.rewind_state["fc3.weight"])
    assert torch.equal(job.state["fc3.bias"], view.rewind_state["fc3.bias"])
    assert "fc3.weight" in known


def test_on_the_same_classes_a_dense_head_is_fresh_all_the_same() -> None:
    job, _ = ticket_job(ticket(), target(0, 1, 2, 3, 4), seed=0)
    assert torch.equal(job.state["fc3.weight"], initial_state(job.architecture, 0)["fc3.weight"])
    assert "fc3.weight" not in job.masks


@pytest.mark.parametrize(
    ("name", "size", "head", "said"),
    [
        ("fc3.weight", 8, "keep", r"fc3.weight is \(5, 5\) in the ticket and \(3, 5\) in .*, or head: dense for other"),
        (
            "fc1.weight",
            4,
            "dense",
            r"fc1.weight is \(15, 16\) in the ticket and \(15, 64\) in the target's model; choose",
        ),
    ],
)
def test_a_ticket_that_does_not_fit_is_said_with_both_shapes_before_anything_is_trained(
    tmp_path: Path, name: str, size: int, head: str, said: str
) -> None:
    asked = recipe(targets=[digits(0, 1, 2, 3, 4), digits(5, 6, 7)], head=head)
    progress = Counted()
    with (
        Store(tmp_path, device=CPU, progress=progress) as cells,
        pytest.raises(TicketError, match=f"^lenet.digits-imp on .*{said}") as error,
    ):
        evaluate(asked, lambda _: ticket(size=size), cells)
    assert "\n" not in str(error.value)
    assert progress.labels == []


def test_a_ticket_that_lacks_a_tensor_of_the_target_s_model_is_refused() -> None:
    whole = ticket().at(level=1)
    state = {name: tensor for name, tensor in whole.rewind_state.items() if name != "fc2.bias"}
    lacking = Ticket.create(
        name="lacking",
        architecture=whole.config.architecture.model_dump(),
        task="image-classification",
        source={"dataset": "digits"},
        pruning={"method": "imp", "scope": "layerwise", "rate": 0.5},
        rewind_step=0,
        replicates=[Found(0, {1: whole.masks}, state)],
    )
    with pytest.raises(
        TicketError, match=r"lacking on digits-5-7: the ticket has no fc2\.bias, which the target's model needs"
    ):
        ticket_job(lacking, target(5, 6, 7), seed=0)


@pytest.mark.parametrize("head", ["dense", "random_mask"])
def test_random_positions_get_the_rewind_weights_where_the_ticket_has_them(head: str) -> None:
    view = ticket().at(level=3)
    job, known = ticket_job(view, target(5, 6, 7, head=head), seed=0)
    drawn = ARMS["random_mask"].make(job, Draw("random_mask", known=known))
    densest = view.at(level=1)
    for name in ("fc1.weight", "fc2.weight"):
        assert torch.equal(drawn.state[name][densest.masks[name]], densest.rewind_state[name][densest.masks[name]])
        assert (drawn.state[name] != 0).all(), "the others are initialised afresh"
    assert {name: int(mask.sum()) for name, mask in drawn.masks.items()} == {
        name: int(mask.sum()) for name, mask in job.masks.items()
    }


def test_rows_of_every_ticket_level_target_arm_and_seed(tmp_path: Path) -> None:
    progress = Counted()
    rows = transfer(
        tmp_path,
        progress=progress,
        targets=[digits(5, 6, 7), digits(8, 9, name="eights")],
        levels=[1, 3],
        arms=["random_mask", "dense", "random_mask"],
        draws=2,
        seeds=[0, 1],
    )
    seen = [(row["target"], row["seed"], row["arm"], row["level"], row["draw"]) for row in rows]
    assert set(seen) == {
        (target, seed, arm, level, draw)
        for target in ("digits-5-7", "eights")
        for seed in (0, 1)
        for arm, level, draw in [
            ("dense", 0, 0),
            ("chance", 0, 0),
            *(("ticket", level, 0) for level in (1, 3)),
            *(("random_mask", level, draw) for level in (1, 3) for draw in (0, 1)),
        ]
    }
    assert len({(*key, row["at"], row["metric"]) for key, row in zip(seen, rows, strict=True)}) == len(rows)
    assert progress.announced == len(progress.labels) == 2 * 2 * (1 + 2 * (1 + 2))
    assert list(rows[0]) == [
        "ticket", "level", "sparsity", "arm", "target", "seed", "draw", "at", "step", "metric", "value",
        "examples", "data",
    ]  # fmt: skip
    known = {(row["metric"], row["target"], row.get("examples"), len(row.get("data", ""))) for row in rows}
    assert {one for one in known if one[2]} == {
        ("test_accuracy", "digits-5-7", 108, 64), ("test_accuracy", "eights", 71, 64)
    }  # fmt: skip
    sparsities = {row["level"]: row["sparsity"] for row in rows}
    assert sparsities == {0: 0.0, 1: ticket().at(level=1).sparsity, 3: ticket().at(level=3).sparsity}
    assert {row["step"] for row in rows if row["at"] == "final" and row["arm"] != "chance"} == {2}


class Watched(Store):
    """Keeps the jobs it is given, by arm."""

    jobs: dict[str, list[Job]]

    def run(self, job: Job, label: str, **keys: Any) -> Any:
        self.jobs.setdefault(label.partition(" draw ")[0].split()[-1], []).append(job)
        return super().run(job, label, **keys)


def jobs_of(folder: Path, **keys: Any) -> dict[str, list[Job]]:
    asked = recipe(**keys)
    with Watched(folder, device=CPU) as cells:
        cells.jobs = {}
        evaluate(asked, ticket, cells)
    return cells.jobs


def test_each_seed_retrains_its_own_replicate_while_there_are_enough(tmp_path: Path) -> None:
    """Seeds 0, 1, 2 of the transfer; seeds 10, 11 of the ticket."""
    jobs = jobs_of(tmp_path, seeds=[0, 1, 2])
    assert [job.seed for job in jobs["ticket"]] == [job.seed for job in jobs["dense"]] == [0, 1, 2]
    for job, replicate in zip(jobs["ticket"], (10, 11, 10), strict=True):
        assert torch.equal(job.masks["fc1.weight"], ticket().at(level=2, seed=replicate).masks["fc1.weight"])


def test_the_arms_of_a_comparison_are_those_of_its_ticket_on_its_target(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, levels=[3], arms=["random_reinit", "random_mask"], draws=1)
    (job,), (reinit,), (drawn,) = jobs["ticket"], jobs["random_reinit"], jobs["random_mask"]
    assert all(torch.equal(mask, reinit.masks[name]) for name, mask in job.masks.items())
    assert (drawn.state["fc1.weight"] != 0).all(), "weights are known nowhere but at level 1's survivors"
    known = ticket().at(level=1).masks["fc1.weight"]
    assert torch.equal(drawn.state["fc1.weight"][known], job.state["fc1.weight"][known])
    assert {one.state["fc3.weight"].shape for one in (job, reinit, drawn)} == {(3, 5)}


def test_two_tickets_of_one_architecture_share_their_dense_trainings(tmp_path: Path) -> None:
    progress = Counted()
    rows = transfer(tmp_path, progress=progress, tickets=["lenet.digits-imp", "lenet.other-imp"])
    assert [trained for label, trained in progress.labels if label.endswith("dense")] == [True, False]
    dense = [row for row in rows if row["arm"] == "dense" and row["metric"] == "test_loss" and row["at"] == "final"]
    assert [row["ticket"] for row in dense] == ["lenet.digits-imp", "lenet.other-imp"]
    assert dense[0]["value"] == dense[1]["value"]


def test_sparsities_stand_for_the_nearest_level_each_once(tmp_path: Path) -> None:
    rows = transfer(tmp_path, levels=None, sparsities=[0.49, 0.51, 0.88])
    assert {row["level"] for row in rows} == {0, 1, 3}
    assert len([row for row in rows if (row["level"], row["metric"], row["at"]) == (1, "test_loss", "final")]) == 1


def test_a_target_may_train_otherwise_and_inherits_the_rest() -> None:
    own = {"optimizer": {"name": "adam", "lr": 0.001}}
    plain, other = load_targets(recipe(targets=[digits(5, 6, 7), digits(8, 9, training=own, head="random_mask")]), [])
    assert (plain.training.optimizer.name, plain.head) == ("sgd", "dense")
    assert (other.training.optimizer.name, other.head) == ("adam", "random_mask")
    assert (other.training.steps, other.training.batch_size) == (Steps(2, "it"), 16)
    assert other.training.optimizer.lr == 0.001


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        ({"levels": [4]}, TicketError, "has no level 4"),
        ({"levels": None, "sparsities": [0.2]}, TicketError, "no level within"),
        (
            {"targets": [digits(5, 6), digits(5, 6)]},
            RecipeError,
            "several are called digits-5-6; give each a different name",
        ),
        ({"tickets": ["./a", "./b"]}, RecipeError, "two of them are the same, or called alike: ./a, ./b"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_trained(
    tmp_path: Path, keys: dict[str, Any], error: type[Exception], said: str
) -> None:
    asked = recipe(**keys)
    progress = Counted()
    with Store(tmp_path, device=CPU, progress=progress) as cells, pytest.raises(error, match=said):
        evaluate(asked, lambda _: ticket(), cells)
    assert progress.labels == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"levels": None}, "give either levels or sparsities"),
        ({"sparsities": [0.5]}, "give either levels or sparsities"),
        ({"levels": [1, 1]}, "levels must differ from each other"),
        ({"tickets": ["a", "a"]}, "tickets must differ from each other"),
        ({"tickets": []}, "tickets"),
        ({"levels": [0]}, "levels.0: input should be greater than 0 (got 0)"),
        ({"levels": None, "sparsities": [80]}, "sparsities.0: input should be less than 1 (got 80)"),
        ({"head": "fresh"}, "head: input should be 'keep', 'dense' or 'random_mask' (got 'fresh')"),
        ({"targets": [digits(0, 1), digits(2, 3, traning={})]}, "key 'targets.1.traning', did you mean 'training'?"),
        ({"targets": [digits(0, 1, training={"stesp": "1ep"})]}, "'targets.0.training.stesp', did you mean 'steps'?"),
        ({"targets": [digits(0, 1, name="../digits")]}, "targets.0.name: write letters, digits and '_'"),
        ({"targets": []}, "targets"),
        ({"targets": {}}, "targets: write a list"),
        ({"targets": ["digits"]}, "targets.0: write keys and values"),
        ({"training": "fast"}, "training: write keys and values"),
    ],
)
def test_an_impossible_recipe_is_refused_with_the_key(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipe(**keys)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_shipped_recipe_reads_and_its_dump_reads_back_equal(path: Path, tmp_path: Path) -> None:
    shipped = read_recipe(path, TransferRecipe)
    (tmp_path / "recipe.yaml").write_text(dump_recipe(shipped))
    assert read_recipe(tmp_path / "recipe.yaml", TransferRecipe) == shipped


def test_a_target_s_own_training_survives_a_dump(tmp_path: Path) -> None:
    asked = recipe(targets=[digits(0, 1, training={"clip_norm": 1.0}), digits(2, 3)])
    (tmp_path / "recipe.yaml").write_text(dump_recipe(asked))
    again = read_recipe(tmp_path / "recipe.yaml", TransferRecipe)
    assert again == asked
    assert again.targets[0].training == asked.training.model_copy(update={"clip_norm": 1.0})


def test_there_are_shipped_recipes() -> None:
    assert len(RECIPES) >= 2
