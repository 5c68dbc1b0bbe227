import re
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ticketzoo.errors import TicketzooError
from ticketzoo.evaluation.evidence import ticket_card
from ticketzoo.evaluation.verdict import judge, rule
from ticketzoo.masks.masks import sparsity_of
from ticketzoo.ticket.card import Evidence, render_card
from ticketzoo.ticket.card_kinds import papers
from ticketzoo.ticket.card_metadata import metadata, sparsity_band
from ticketzoo.ticket.config import BaseRewind, TicketConfig, check_config, mask_sha256_of
from ticketzoo.ticket.eval_results import eval_results_file
from ticketzoo.util.shipped import shipped, shipped_recipes
from ticketzoo.util.text import fenced

KEPT = {0: 1000, 3: 512, 10: 100, 15: 40}  # of 1,000 prunable weights
REVISION = "77f3279092a1c1579b2250db8eafed0ad422088c"

PRUNING = {
    "method": "imp", "scope": "global", "rate": 0.2,
    "parameters": [{"name": "fc1.weight", "shape": [10, 80]}, {"name": "fc2.weight", "shape": [200]}],
}  # fmt: skip


def config(rows: Any = None, **changes: Any) -> TicketConfig:
    replicates = [{"seed": seed, "mask_sha256": f"{seed}" * 64, "rewind_sha256": "a" * 64} for seed in (0, 1, 2)]
    digests = [(replicate["seed"], replicate["mask_sha256"]) for replicate in replicates]
    content = {
        "name": "lenet.mnist-imp",
        "library_version": "0.1.0",
        "architecture": {"library": "ticketzoo", "name": "lenet-300-100", "kwargs": {"num_classes": 10}},
        "task": "image-classification",
        "source": {"dataset": "ylecun/mnist", "revision": REVISION},
        "pruning": PRUNING,
        "rewind": {"kind": "packed", "step": 0},
        "levels": [
            {"level": level, "sparsity": sparsity_of(kept, 1000), "kept": kept} for level, kept in KEPT.items() if level
        ],
        "replicates": replicates,
        "mask_sha256": mask_sha256_of(digests),
        "license": "Apache-2.0",
        "verdict": judge(rows, transfer=()) if rows else None,
        **changes,
    }  # fmt: skip
    return check_config(content, "test")


def rows(arm: str, values: Any, *, level: int = 3, target: str = "mnist") -> list[dict[str, Any]]:
    level = 0 if arm == "dense" else level
    return [
        {
            "ticket": "lenet.mnist-imp", "level": level, "sparsity": sparsity_of(KEPT[level], 1000), "arm": arm,
            "target": target, "seed": seed, "draw": 0, "at": "final", "step": 100, "metric": "test_accuracy",
            "value": value,
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip


MATCHING = [
    *rows("dense", [0.9799, 0.98, 0.9801]),
    *rows("ticket", [0.9799, 0.98, 0.9801]),
    *rows("ticket", [0.9] * 3, level=10),
]
WINNING = [*MATCHING, *rows("random_reinit", [0.9] * 3), *rows("random_mask", [0.9] * 3)]


def section(card: str, title: Any) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.S | re.M).group(1)


def html_tags(card: str) -> set[str]:
    body = card.split("\n---\n", 1)[1]
    return set(re.findall(r"<(\w+)", MarkdownIt().enable(["table", "strikethrough"]).render(body)))


def test_the_layout_of_a_folder_of_the_author_s_is_on_the_card_and_nothing_on_others() -> None:
    said = ["train (train/): 3 images; *a* 2, b 1", "no split to test on: a fifth of train is drawn for it"]
    source = {"dataset": "photos", "revision": None}
    card = ticket_card(config(MATCHING, source=source | {"laid_out": said}), MATCHING)
    assert section(card, "Data it was found on").strip() == (
        "- train (train/): 3 images; \\*a\\* 2, b 1\n- no split to test on: a fifth of train is drawn for it"
    )
    plain = config(MATCHING, source=source)
    assert "Data it was found on" not in ticket_card(plain, MATCHING)
    assert "laid_out" not in plain.to_json()


def test_metadata_is_what_the_hub_filters_on() -> None:
    data = ModelCard(ticket_card(config(MATCHING), MATCHING)).data
    assert data.library_name == "ticketzoo"
    assert data.license == "apache-2.0"
    assert data.datasets == ["ylecun/mnist"]
    assert data.pipeline_tag == "image-classification"
    assert data.tags == [
        "lottery-ticket", "sparse", "lenet-300-100", "imp", "task-image-classification", "source-ylecun-mnist",
        "sparsity-0-50", "sparsity-90-95", "sparsity-95-98", "verdict-matching",
    ]  # fmt: skip
    assert data.base_model is None


def test_model_index_holds_the_measured_mean_at_the_verdicts_level_and_survives_a_round_trip() -> None:
    text = ticket_card(config(MATCHING), MATCHING)
    (result,) = ModelCard(text).data.eval_results
    assert (result.task_type, result.dataset_type, result.dataset_name) == (
        "image-classification", "ylecun/mnist", "mnist",
    )  # fmt: skip
    assert (result.dataset_revision, result.metric_type, result.metric_value) == (REVISION, "accuracy", 0.98)
    # Student's t: 0.98 -+ 4.3027 * 0.01 / sqrt(3)
    assert result.metric_args == {"level": 3, "seeds": 3, "interval_95": [0.979752, 0.980248]}
    assert "sparsity 0.488" in result.metric_name
    assert str(ModelCard(text)) == text
    assert ModelCard(str(ModelCard(text))).data.eval_results == [result]


def test_without_measurements_there_are_no_numbers_and_the_card_says_so() -> None:
    card = ticket_card(config(), [])
    data = ModelCard(card).data
    assert data.eval_results is None and "model_name" not in card
    assert "## What was measured" not in card and "## Verdict" not in card
    items = section(card, "What was not measured")
    assert "the ticket itself: not at all" in items
    assert "verdict: none was given" in items
    for absent in ("None", "## Cost", "## Find it again", "winning", "±"):
        assert absent not in card


def test_a_field_without_data_is_left_out() -> None:
    card = render_card(config(license=None, source={"dataset": "digits"}), Evidence())
    data = ModelCard(card).data
    assert data.license is None and data.datasets is None
    assert "licence of the ticket" not in card and "revision" not in card and "fingerprint" not in card
    assert "- **data**: digits" in card


def test_what_was_not_measured_is_computed_from_the_rows() -> None:
    items = section(ticket_card(config(WINNING), WINNING), "What was not measured")
    assert "the ticket itself: not at packaged levels 15" in items
    assert "random reinit: not at packaged levels 10, 15" in items
    assert "shuffled mask" not in items
    assert "transfer: on no other data set" in items
    assert "dense" not in items
    elsewhere = [*WINNING, *rows("dense", [0.5], target="kmnist"), *rows("ticket", [0.5], target="kmnist")]
    card = ticket_card(config(WINNING), elsewhere)
    assert "transfer" not in section(card, "What was not measured")
    assert "on kmnist" in section(card, "What was measured")


def test_a_loss_that_diverged_leaves_the_accuracies_in_the_card() -> None:
    losses = [{**row, "metric": "test_loss", "value": float("nan")} for row in MATCHING]
    (result,) = ModelCard(ticket_card(config(MATCHING), MATCHING + losses)).data.eval_results
    assert result.metric_type == "accuracy"


def test_rates_of_layers_are_named() -> None:
    pruning = {
        "method": "imp", "scope": "layerwise", "rate": {"fc3*": 0.1, "*": 0.2},
        "parameters": [{"name": "fc1.weight", "shape": [1000]}],
    }  # fmt: skip
    assert r"in a round**: fc3\*: 0.1, all others: 0.2" in render_card(config(pruning=pruning), Evidence())


def test_a_verdict_that_could_not_be_given_says_why() -> None:
    single = [*rows("dense", [0.9]), *rows("ticket", [0.9])]
    card = ticket_card(config(single), single)
    assert "**not measured**" in section(card, "Verdict")
    assert "needs at least 2 seeds, has ticket 1, dense 1" in section(card, "What was not measured")


def test_the_verdict_comes_with_its_rule_and_its_levels() -> None:
    text = section(ticket_card(config(WINNING), WINNING), "Verdict")
    assert "**winning** at sparsity 0.488" in text
    assert "winning at 0.488 (level 3): +8.00 points" in text
    assert "level 10 below; 3 seeds" in text
    assert "Chen et al. 2020 (one standard deviation of dense): matching at level 3; not matching at level 10" in text
    assert rule().replace("_", r"\_") in text


def test_nothing_says_winning_unless_the_verdict_does() -> None:
    stated = rule().replace("_", r"\_")
    assert stated in ticket_card(config(MATCHING), MATCHING)
    assert "winning" not in ticket_card(config(MATCHING), MATCHING).replace(stated, "").lower()
    assert "winning" in ticket_card(config(WINNING), WINNING).replace(stated, "")


def test_loading_names_the_level_or_the_reference() -> None:
    assert 'load_ticket("lenet.mnist-imp", level=3)  # sparsity 0.488' in ticket_card(config(WINNING), WINNING)
    assert 'load_ticket("me/lenet", level=15)' in render_card(config(), Evidence(), reference="me/lenet")


def test_plots_cost_and_recipe_are_shown_when_given() -> None:
    cost = {"trainings": 1234, "seconds": 11520, "device": "2 CPU cores"}
    card = render_card(config(), Evidence(), plots=["accuracy.png"], cost=cost, recipe_text="name: x\n```\nend: y\n")
    assert "![accuracy](accuracy.png)" in card
    assert "**trainings**: 1,234" in card and "**time**: 3 h 12 min" in card and "**device**: 2 CPU cores" in card
    assert "ticketzoo find recipe.yaml" in card
    assert "````yaml\nname: x\n```\nend: y\n````" in card
    assert "**trainings**" not in render_card(config(), Evidence(), cost={"seconds": 59.6})


def test_the_keys_that_differ_from_the_defaults_stand_before_the_folded_recipe() -> None:
    card = render_card(config(), Evidence(), recipe_text="name: x\nseeds: [0]\n", short_recipe="name: x\n")
    shown, _, folded = card.partition("<details><summary>recipe.yaml</summary>")
    assert "```yaml\nname: x\n```" in shown and "seeds:" not in shown
    assert "```yaml\nname: x\nseeds: [0]\n```" in folded
    assert "differ from the defaults" not in render_card(config(), Evidence(), recipe_text="name: x\n")


@pytest.mark.parametrize("file", ["../a.png", "a/b.png", "x](http://e).png", "a.svg", ".png", "a b.png"])
def test_a_plot_is_a_plain_file_name(file: Any) -> None:
    with pytest.raises(ValueError, match="PNG file beside the card"):
        render_card(config(), Evidence(), plots=[file])


def test_base_weights_are_named_as_base_model_and_provenance() -> None:
    base = {"kind": "base", "repo_id": "google-bert/bert-base-uncased", "revision": "b" * 40, "sha256": "c" * 64}
    replicates = [{"seed": 0, "mask_sha256": "0" * 64}]
    card = render_card(
        config(rewind=base, replicates=replicates, mask_sha256=mask_sha256_of([(0, "0" * 64)])), Evidence()
    )
    assert ModelCard(card).data.base_model == "google-bert/bert-base-uncased"
    assert f"google-bert/bert-base-uncased at {'b' * 40}" in section(card, "Licence and provenance")


def test_a_licence_the_hub_does_not_know_is_other_with_its_name() -> None:
    data = ModelCard(render_card(config(license="My Own Licence 2"), Evidence())).data
    assert (data.license, data.license_name) == ("other", "my-own-licence-2")


def test_a_path_on_somebodys_machine_is_not_published() -> None:
    card = render_card(config(source={"dataset": "/home/ann/secret/mnist/", "revision": "x"}), Evidence())
    assert "ann" not in card and "secret" not in card
    assert "source-mnist" in card
    assert ModelCard(card).data.datasets is None


PLAIN = {"h1", "h2", "p", "ul", "li", "strong", "pre", "code", "blockquote"}
TABLE = {"table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize(
    "odd", ["<script>alert(1)</script>", "a|b", "[x](http://e)", "**b**\n\n# h", "`c`", "---\nx: y"]
)
def test_markup_from_outside_comes_out_as_words(odd: str) -> None:
    measured = [{**row, "target": odd} for row in WINNING]
    architecture = {"library": odd, "name": odd, "kwargs": {odd: odd}}
    hostile = config(measured, architecture=architecture, source={"dataset": odd, "revision": odd}, license=odd)
    card = ticket_card(hostile, measured, recipe_text=f"{odd}\n</details>", cost={"device": odd})
    assert html_tags(card) == PLAIN | TABLE | {"details", "summary"}
    assert "<script" not in card.replace(fenced(f"{odd}\n</details>", "yaml"), "").split("\n---\n", 1)[1]
    lines = [line.replace(r"\|", "") for line in card.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in lines}) == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=40))
def test_any_text_gives_a_card_that_can_be_read_back(text: Any) -> None:
    measured = [{**row, "target": text} for row in MATCHING]
    hostile = config(measured, architecture={"library": text, "name": text}, source={"dataset": text}, license=text)
    card = ticket_card(hostile, measured)
    assert html_tags(card) == PLAIN | TABLE
    assert ModelCard(card).data.library_name == "ticketzoo"
    assert len(ModelCard(card).data.eval_results) == 1


@pytest.mark.parametrize(
    ("sparsity", "band"),
    [(0.0, "0-50"), (0.499, "0-50"), (0.5, "50-80"), (0.9, "90-95"), (0.95, "95-98"), (0.999, "99-100")],
)
def test_a_band_begins_at_its_lower_limit(sparsity: Any, band: Any) -> None:
    assert sparsity_band(sparsity) == f"sparsity-{band}"


def test_shipped_files_are_found_by_name_and_by_nothing_else() -> None:
    assert shipped("MODEL_CARD_TEMPLATE.md").read_text().startswith("---\n{{ card_data }}\n---\n")
    for name in shipped_recipes():
        assert shipped(name).is_file()
    for name in ("pyproject.toml", "recipes/../pyproject.toml", "recipes", "/etc/passwd"):
        with pytest.raises(TicketzooError, match="no shipped file is called"):
            shipped(name)


def test_the_card_cites_the_ticket_and_the_papers_of_its_search_once_each() -> None:
    words = {
        "method": "iterative magnitude pruning (Frankle & Carbin 2019, section 2; Frankle et al. 2020, algorithm 2)",
        "scope": "all layers ranked together (Frankle & Carbin 2019, section 4)",
        "criterion": "smallest change (Frankle et al. 2020b)",
    }
    cited = section(ticket_card(config(pruning={**PRUNING, "words": words}), []), "Cite it")
    assert re.findall(r"^@(\w+)\{([^,]+),$", cited, re.M) == [
        ("misc", "lenet.mnist-imp"),
        ("inproceedings", "frankle2019"),
        ("inproceedings", "frankle2020"),
    ]
    assert "  eprint = {1803.03635},\n" in cited
    assert f"masks {config().mask_sha256[:16]}" in cited


def test_every_paper_is_an_entry_of_its_own_and_its_braces_close() -> None:
    for name, entry in papers().items():
        assert re.match(r"@(inproceedings|misc)\{[a-z]+\d{4},\n", entry), name
        assert entry.endswith("\n}") and entry.count("{") == entry.count("}")
        assert f"year = {{{name[-4:]}}}" in entry
        (first_author,) = re.findall(r"author = \{(.*?)(?: and .*)?\},", entry)
        assert name.startswith(first_author.split()[-1])
    assert len({re.search(r"title = .*", entry)[0] for entry in papers().values()}) == len(papers()) > 25


def test_masks_over_a_base_are_an_adapter_of_it() -> None:
    rewind = {"kind": "base", "rewinding": "weights", "step": 0, "repo_id": "me/bert", "revision": "c" * 40}
    found = metadata(config(), [], None)
    assert "base_model_relation" not in found.to_dict()
    base = BaseRewind.model_construct(**rewind)
    found = metadata(config().model_copy(update={"rewind": base}), [], None)
    assert (found.base_model, found.to_dict()["base_model_relation"]) == ("me/bert", "adapter")


def test_the_main_result_is_written_as_the_hub_s_leaderboards_read_it() -> None:
    from huggingface_hub import parse_eval_result_entries

    text = ticket_card(config(MATCHING), MATCHING)
    ((path, content),) = eval_results_file(config(MATCHING), ModelCard(text).data).items()
    assert path == ".eval_results/ylecun-mnist.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(content))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("ylecun/mnist", "image-classification", 0.98)
    assert entry.dataset_revision == REVISION
    assert entry.notes == "lottery ticket: test accuracy after retraining at sparsity 0.488, mean over seeds"
    folder = config(MATCHING, source={"dataset": "photos", "revision": None})
    assert eval_results_file(folder, ModelCard(ticket_card(folder, MATCHING)).data) == {}
    assert eval_results_file(config(), ModelCard(ticket_card(config(), [])).data) == {}
