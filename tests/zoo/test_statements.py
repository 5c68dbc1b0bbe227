"""A statement that a ticket's rows do not give is said by verify and marked in lists."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import edit_config, forge
from toy_zoo import ROWS, make_ticket

import ticketzoo
from ticketzoo.errors import TicketError
from ticketzoo.evaluation import verdict as verdicts
from ticketzoo.evaluation.backing import apart, differing
from ticketzoo.evaluation.evidence import card_files, ticket_card
from ticketzoo.finding.method import found_words
from ticketzoo.zoo.add import add_ticket
from ticketzoo.zoo.summary import read_summary

judge = partial(verdicts.judge, transfer=())
"""On the ticket's source, which is the only target."""

NAME = "lenet.digits-imp"
PRUNABLE = {entry.level: entry.sparsity for entry in make_ticket().levels}
"""Half and a quarter of each layer are kept, rounded down: 0.503 and 0.755."""


def measured() -> list[dict[str, Any]]:
    """Dense and, at two levels, the ticket and its controls, on three seeds.

    0.90, 0.91, 0.92 of dense; the ticket is 0.01 above it and 0.20 and more above all controls.
    """
    above = {"ticket": 0.01, "random_reinit": -0.2, "random_mask": -0.3}
    kinds = [(0, 0.0, "dense", 0.0)]
    kinds += [(level, sparsity, arm, more) for level, sparsity in PRUNABLE.items() for arm, more in above.items()]
    return [
        ROWS[0] | {"level": level, "sparsity": sparsity, "arm": arm, "seed": seed}
        | {"value": round(0.9 + seed / 100 + more, 4)}
        for level, sparsity, arm, more in kinds
        for seed in range(3)
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = measured()
    ticket = make_ticket(results=rows, verdict=judge(rows))
    cost = {"trainings": 3, "seconds": 0.4, "device": "2 CPU & 1 GPU_x"}
    card = ticket_card(ticket.config, rows, recipe_text=ticket.recipe_text, cost=cost)
    return ticket.save_pretrained(tmp_path / "zoo" / NAME, extras={"README.md": card.encode()})


def said(folder: Path) -> list[str]:
    """Return what was checked; of tickets with next to no recipe and without a card, which is noted each time."""
    lines = [str(check) for check in ticketzoo.verify(folder)]
    return [
        line for line in lines if "recipe.yaml does not say it" not in line and line != "README.md: NOTE: there is none"
    ]


def shown(folder: Path) -> str:
    return ticketzoo.search(folder.parent).rows[0][-1]


def with_rows(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    rows = change(rows) or rows  # type: ignore[assignment]
    forge(folder, "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())


def test_what_rows_give_is_verified_and_not_marked(folder: Path) -> None:
    label = judge(measured()).label
    assert f"ticket.json: verdict {label}, as its rows give it on 2 levels" in said(folder)
    assert "results.jsonl: 21 rows" in said(folder)
    assert "README.md: its tables, metadata and verdict are those of ticket.json and the rows" in said(folder)
    assert not [line for line in said(folder) if "NOTE" in line]
    assert shown(folder) == f"{label} at 0.755"
    assert read_summary(folder).as_json()["verdict_backing"] == {"state": "rows", "why": ""}


def to_other_label(verdict: dict[str, Any]) -> None:
    verdict["label"] = next(label for label in ("matching", "winning") if label != verdict["label"])
    verdict["levels"][0]["label"] = verdict["label"]


FORGED: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("label", lambda verdict: to_other_label(verdict), "verdict.label: .*, but the rows give"),
    ("no label", lambda verdict: verdict.update(label="not measured"), "verdict.label: not measured, but the rows"),
    ("sparsity", lambda verdict: verdict.update(sparsity=0.99), "verdict.sparsity: 0.99, but the rows give 0.75"),
    ("metric", lambda verdict: verdict.update(metric="test_f1"), "verdict.metric: 'test_f1', but the rows have"),
    ("moment", lambda verdict: verdict.update(at="best"), "but the rows give not measured"),
    ("level", lambda verdict: verdict["levels"].pop(0), "level 1 on 'digits': not stated, but measured"),
    ("target", lambda verdict: verdict["levels"][0].update(target="x"), "level 1 on 'x': stated, but without rows"),
    (
        "seeds",
        lambda verdict: verdict["levels"][0].update(seeds=30),
        "level 1 on 'digits': seeds 30, but the rows",
    ),
    ("of level", lambda verdict: verdict["levels"][0].update(sparsity=0.6), "sparsity 0.6, but the rows give 0.5"),
    ("reason", lambda verdict: verdict["levels"][0].update(reason="mean 0.9999"), "reason: 'mean 0.9999', but"),
    ("twice", lambda verdict: verdict["levels"].append(verdict["levels"][0]), "a level is judged twice"),
]


@pytest.mark.parametrize(("forge_verdict", "message"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED])
def test_a_verdict_that_its_rows_do_not_give(
    folder: Path, forge_verdict: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit_config(folder, lambda config: forge_verdict(config["verdict"]))
    with pytest.raises(TicketError, match=message) as raised:
        ticketzoo.verify(folder)
    assert str(raised.value).isprintable()
    assert re.search(r"\(claimed: its rows (say|give other numbers)", shown(folder))
    assert ticketzoo.verify(folder, results=False)


def test_a_reason_in_other_words_is_noted(folder: Path) -> None:
    def reword(config: dict[str, Any]) -> None:
        level = config["verdict"]["levels"][0]
        level["reason"] += ", at last"

    edit_config(folder, reword)
    (line,) = [line for line in said(folder) if "NOTE" in line and "README" not in line]
    assert line.startswith("ticket.json: NOTE: in words of its own: verdict.levels.1 on 'digits'.reason: ")


def test_the_targets_of_transfer_are_told_by_the_source_and_not_by_the_verdict(folder: Path) -> None:
    """The ticket says that it was found on digits, whatever its rows and its verdict say."""
    edit_config(folder, lambda config: config["verdict"].update(transfer=["digits"]))
    with pytest.raises(TicketError, match=r"verdict.transfer: .*digits.*, but the rows give '\[\]'"):
        ticketzoo.verify(folder)
    edit_config(folder, lambda config: config["verdict"].pop("transfer"))
    edit_config(folder, lambda config: config["source"].update(dataset="letters"))
    with pytest.raises(TicketError, match=r"verdict.transfer: '\[\]', but the rows give .*digits"):
        ticketzoo.verify(folder)


def test_a_margin_that_the_recipe_does_not_state(folder: Path) -> None:
    verdict = judge(measured(), margin=0.5).model_dump(mode="json")
    edit_config(folder, lambda config: config.update(verdict=verdict))
    with pytest.raises(TicketError, match=r"verdict.stated_margin: 0.5, but the recipe states None"):
        ticketzoo.verify(folder)
    assert shown(folder).endswith("(claimed: its margin is not the recipe's)")


def test_a_margin_that_the_recipe_states_and_the_verdict_does_not_take(tmp_path: Path) -> None:
    rows, recipe = measured(), f"name: {NAME}\nverdict: {{margin: 0.00001}}\n"
    ticket = make_ticket(results=rows, verdict=judge(rows), recipe_text=recipe)
    with pytest.raises(TicketError, match="stated_margin: None, but the recipe states 1e-05"):
        ticketzoo.verify(ticket.save_pretrained(tmp_path / NAME))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("levels", {"above_dense": True}),
        ("levels", {"seeds_to_decide": 9}),
        ("targets", {"alpha": 0.001}),
        ("targets", {"chance": 0.1}),
        ("targets", {"short_training": True}),
        ("targets", {"metric": "test_f1"}),
    ],
    ids=str,
)
def test_a_value_other_than_its_default_where_the_rows_give_the_default(
    folder: Path, part: str, change: dict[str, Any]
) -> None:
    edit_config(folder, lambda config: config["verdict"][part][0].update(change))
    with pytest.raises(TicketError, match=f"{next(iter(change))}: .*but the rows give"):
        ticketzoo.verify(folder)


def test_a_verdict_on_a_part_of_the_rows_is_noted(tmp_path: Path) -> None:
    rows = measured()
    other = [row | {"target": "letters"} for row in rows]
    on_training = [row | {"metric": "train_accuracy"} for row in rows]
    for name, all_rows, verdict, note in (
        ("a", rows + other, judge(rows), "no verdict is stated on 'letters'"),
        ("b", rows + on_training, judge(rows + on_training, metric="train_accuracy"), "is by 'train_accuracy'"),
        ("c", [row | {"at": "best"} for row in rows], judge([row | {"at": "best"} for row in rows], at="best"), "best"),
    ):
        saved = make_ticket(results=all_rows, verdict=verdict).save_pretrained(tmp_path / name)
        assert [line for line in said(saved) if "NOTE" in line and note in line]


@pytest.mark.parametrize("key", ["dense", "control"])
def test_a_difference_that_the_rows_do_not_give(folder: Path, key: str) -> None:
    edit_config(folder, lambda config: config["verdict"]["levels"][0][key].update(difference=0.9))
    with pytest.raises(TicketError, match=rf"verdict.levels.1 on 'digits'.{key}.difference: 0.9, but the rows give"):
        ticketzoo.verify(folder)


def test_one_value_changed_in_the_rows(folder: Path) -> None:
    with_rows(folder, lambda rows: rows[3].update(value=0.1))  # of the ticket at level 1
    with pytest.raises(TicketError, match="1 on 'digits'") as raised:
        ticketzoo.verify(folder)
    assert "claimed" in shown(folder)
    line = str(raised.value).replace(str(folder), "")
    assert re.search(r"verdict\.levels\.1 on 'digits'[\w.]*: -?[\d.]+, but the rows give -?[\d.]+; ", line)
    assert len(line) < 400  # of 20 and more that differ: what, where, stated and measured, not whole sentences


def test_two_texts_are_shown_where_they_differ_and_two_numbers_with_digits_enough() -> None:
    one, other = f"{'as before ' * 20}x is 0.1 {'and so on ' * 20}", f"{'as before ' * 20}x is 0.2 {'and so on ' * 20}"
    assert differing(one, other) == f"...before as before x is 0.1 {'and so on ' * 5}and ..."
    assert differing("winning", "below") == "winning"
    assert (apart(0.123456789, 0.2), apart(0.123456789, 0.123456)) == ("0.1235", "0.123457")


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (0, {"sparsity": 0.5}, "line 1 says sparsity 0.5 of dense at level 0, seed 0: it is 0"),
        (3, {"sparsity": 0.9}, "line 4 says sparsity 0.9 of ticket at level 1, seed 0: it is 0.5"),
        (14, {"sparsity": 0.77}, "line 15 says sparsity 0.77 of ticket at level 2, seed 2: it is 0.75"),
    ],
)
def test_a_sparsity_that_the_masks_do_not_have(folder: Path, number: int, change: dict[str, Any], message: str) -> None:
    with_rows(folder, lambda rows: rows[number].update(change))
    with pytest.raises(TicketError, match=message):
        ticketzoo.verify(folder)
    assert "(claimed: its rows do not fit its masks)" in shown(folder)


def test_a_rounded_sparsity_is_noted(folder: Path) -> None:
    with_rows(folder, lambda rows: [row | {"sparsity": round(row["sparsity"], 2)} for row in rows])
    edit_config(folder, lambda config: config.update(verdict=None))
    (folder / "README.md").unlink()
    (line,) = [line for line in said(folder) if "NOTE" in line]
    assert "NOTE: results.jsonl line 4 says sparsity 0.5 of ticket at level 1" in line


def test_rows_of_another_ticket(folder: Path) -> None:
    with_rows(folder, lambda rows: [row | {"ticket": "another"} for row in rows])
    with pytest.raises(TicketError, match=r"line 1 is about 'another', not about 'lenet.digits-imp'"):
        ticketzoo.verify(folder)


def test_a_verdict_without_rows_is_only_claimed(folder: Path) -> None:
    edit_config(folder, lambda config: config["files"].pop("results.jsonl"))
    (folder / "README.md").unlink()
    assert "ticket.json: NOTE: the verdict is only claimed: it has no rows" in said(folder)
    assert shown(folder).endswith("at 0.755 (claimed)")


def test_a_verdict_by_another_rule_is_only_claimed(folder: Path) -> None:
    edit_config(folder, lambda config: config["verdict"].update(rule="whatever I like", label="matching"))
    edit_config(folder, lambda config: config["verdict"]["levels"][0].update(label="matching"))
    (folder / "README.md").unlink()
    assert "by a rule that this version does not know" in "".join(said(folder))
    assert shown(folder) == "matching at 0.755 (claimed)"


def edit_card(folder: Path, old: str, new: str) -> None:
    text = (folder / "README.md").read_text()
    assert old in text
    (folder / "README.md").write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("| 92.00 ±", "| 99.00 ±", r"says 99.00 .* of ticket at level 1, and the rows give 92.00"),
        ("| 2 | 0.755 |", "| 2 | 0.990 |", "says 0.990 of sparsity at level 2, and the rows give 0.755"),
        ("| 2 | 0.755 |", "| 7 | 0.990 |", "has a line 7, which no row gives"),
        ("on digits: mean", "on imagenet: mean", "is of no target that the rows measure"),
        ("license: apache-2.0", "license: mit", "metadata: license is mit, and ticket.json gives apache-2.0"),
        (
            "library_name: ",
            "datasets:\n- imagenet-1k\nlibrary_name: ",
            "datasets is .'imagenet-1k'., and ticket.json",
        ),
        ("ticket**: apache-2.0", "ticket**: mit", "and the ticket gives '- ..licence of the ticket..: apache-2.0'"),
        ("value: 0.92", "value: 0.99", "metadata: .*'accuracy'.*0.99.*, and the rows give"),
        ("- sparsity-", "- sparsity-99-100\n- sparsity-", "tag sparsity-99-100, which ticket.json does not give"),
        ("at sparsity 0.755, the", "at sparsity 0.999, the", "at sparsity 0.999', and ticket.json gives"),
        ("\n> ", "\n> any rule, ", "verdict 'any rule, "),
        ("; 3 seeds", "; 300 seeds", "verdict '.* 300"),
    ],
)
def test_a_card_that_says_something_else(folder: Path, old: str, new: str, message: str) -> None:
    edit_card(folder, old, new)
    with pytest.raises(TicketError, match=message) as raised:
        ticketzoo.verify(folder)
    assert str(raised.value).isprintable()
    assert str(folder / "README.md") in str(raised.value)


def test_a_card_edited_in_the_registry_stays_unless_it_is_to_be_replaced(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    added = add_ticket(folder, tmp_path / "registry")
    edit_card(added, "| 92.00 ±", "| 99.00 ±")
    edited = (added / "README.md").read_text()
    with caplog.at_level("WARNING", "ticketzoo"):
        add_ticket(folder, tmp_path / "registry")
    assert (added / "README.md").read_text() == edited
    (line,) = caplog.messages
    assert "says 99.00" in line and line.endswith(f"{added} stays as it is: --replace copies the ticket there again")
    add_ticket(folder, tmp_path / "registry", replace=True)
    assert (added / "README.md").read_text() == (folder / "README.md").read_text()
    edit_card(added, "| 92.00 ±", "| 99.00 ±")
    (added / "seed-0" / "masks.safetensors").write_bytes(b"")
    add_ticket(folder, tmp_path / "registry")  # what is damaged is mended
    assert (added / "seed-0" / "masks.safetensors").read_bytes()
    assert (added / "README.md").read_text() == edited


def test_a_difference_without_end_is_shown_short(folder: Path) -> None:
    edit_card(folder, "value: 0.92", "value: 0.92" + "a" * 5000)
    with pytest.raises(TicketError, match="metadata") as raised:
        ticketzoo.verify(folder)
    assert len(str(raised.value)) < 2000


def test_words_of_ones_own_in_a_card_are_noted(folder: Path) -> None:
    edit_card(folder, "## Limits", "Best of its kind.\n\n## Limits")
    assert "README.md: NOTE: has lines of its own, such as 'Best of its kind.'" in said(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("**method**: imp", "**method**: magic"),
        ("checks every digest", "checks each digest"),
        ("Its sparsity is unstructured", "Its sparsity is structured"),
        ("**device**: 2 CPU", "**gadget**: 2 CPU"),
        ("transfer: on no other data set", "transfer: on any data set"),
    ],
)
def test_a_word_that_was_changed_is_noted_with_its_line(folder: Path, old: str, new: str) -> None:
    edit_card(folder, old, new)
    (line,) = [line for line in said(folder) if "NOTE" in line]
    assert line.startswith("README.md: NOTE: has lines of its own, such as ") and new[:40] in line


def test_the_short_form_of_the_recipe_has_to_be_a_part_of_it(folder: Path) -> None:
    ticket = ticketzoo.load_ticket(folder)
    text = ticket.recipe_text
    card = ticket_card(ticket.config, ticket.results, recipe_text=text, short_recipe=text)
    (folder / "README.md").write_text(card)
    assert not [line for line in said(folder) if "NOTE" in line]
    edit_card(folder, f"below:\n\n```yaml\n{text}", "below:\n\n```yaml\nname: another\n")
    assert "README.md: NOTE: has lines of its own, such as 'Its keys that differ from the defaults" in str(said(folder))


def test_a_line_that_was_taken_out_is_noted(folder: Path) -> None:
    edit_card(folder, "- transfer: on no other data set\n", "")
    assert "README.md: NOTE: lacks lines, such as '- transfer: on no other data set'" in said(folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("A winning ticket.", "and no level is winning"),
        ("It is **matching** throughout.", "and no level is matching"),
        ("Its accuracy is 99.12 without a doubt.", "and no row gives 99.12"),
        ("It gains 7 points.", "and no row gives 7"),
        ("As good as dense at sparsity 0.98.", "and no row gives 0.98"),
        ("| accuracy |\n|---|\n| 99.9% |", "and no row gives 99.9"),
    ],
)
def test_a_claim_in_words_of_ones_own(tmp_path: Path, words: str, message: str) -> None:
    below = [row | {"value": 0.5} if row["arm"] == "ticket" else row for row in measured()]
    ticket = make_ticket(results=below, verdict=judge(below))
    card = ticket_card(ticket.config, below, recipe_text=ticket.recipe_text)
    folder = ticket.save_pretrained(tmp_path / NAME, extras={"README.md": card.encode()})
    assert not [line for line in said(folder) if "NOTE" in line]
    edit_card(folder, "## Limits", f"{words}\n\n## Limits")
    with pytest.raises(TicketError, match=message):
        ticketzoo.verify(folder)


@pytest.mark.parametrize(
    "words", ["See arXiv:1803.03635.", "Found in 2026.", "Give it a matching head.", "v1.2 errors"]
)
def test_other_numbers_and_words_are_no_claims(folder: Path, words: str) -> None:
    edit_card(folder, "## Limits", f"{words}\n\n## Limits")
    assert f"README.md: NOTE: has lines of its own, such as '{words}'" in said(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1, 2; sparsity", "1, 3; sparsity"),
        ("level=2", "level=1"),
        ("0, 1", "0 to 9"),
        ("apache-2.0\n- **data", "mit\n- **data"),
    ],
)
def test_a_number_that_was_changed_anywhere(folder: Path, old: str, new: str) -> None:
    edit_card(folder, old, new)
    with pytest.raises(TicketError, match=r"and the ticket gives|and ticket\.json gives"):
        ticketzoo.verify(folder)


FORGED_WORDS = "iterative pruning: WINNING at sparsity 0.99, +10.00 points above dense, 99.9% accuracy"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda config: config["pruning"].update(words={"method": FORGED_WORDS}), "pruning.words.method"),
        (lambda config: config["pruning"].update(method=FORGED_WORDS), "pruning.method"),
        (lambda config: config["pruning"].update(scope="accuracy 99"), "pruning.scope"),
        (lambda config: config["source"].update(laid_out=["a folder", "seen: 99.9%"]), "source.laid_out"),
        (lambda config: config["source"].update(classes=["cat", "test_accuracy 0.99"]), "source.classes"),
        (lambda config: config.update(license="MIT. \uff37inning at 0.99."), "license"),
        (lambda config: config["source"].update(revision="sparsity 0.99"), "source.revision"),
    ],
)
def test_a_claim_in_a_free_text_is_noted(tmp_path: Path, change: Callable[[Any], object], where: str) -> None:
    """The card is the one that ticket.json gives, forged text included."""
    below = [row | {"value": 0.5} if row["arm"] == "ticket" else row for row in measured()]
    folder = make_ticket(results=below, verdict=judge(below)).save_pretrained(tmp_path / NAME)
    assert not [line for line in said(folder) if "NOTE" in line]
    edit_config(folder, change)
    config = read_summary(folder).config
    card = ticket_card(config, below, recipe_text=(folder / "recipe.yaml").read_text())
    (folder / "README.md").write_text(card)
    assert [line for line in said(folder) if f"NOTE: {where} is free text that speaks of results" in line]
    (folder / "README.md").write_text(card.replace("## Limits", "It has 99.9% accuracy.\n\n## Limits"))
    with pytest.raises(TicketError, match=r"and no row gives 99\.9"):
        ticketzoo.verify(folder)


@pytest.mark.parametrize(
    ("pruning", "note"),
    [
        (
            {"words": {"method": "magic"}},
            "words.method is its author's own: 'magic', and this version says 'iterative m",
        ),
        ({"words": {"schedule": "magic"}}, "words.schedule is its author's own: 'magic'"),
        ({"method": "mine"}, "method is its author's own: 'mine', which this version does not know"),
        ({"method": "mine", "words": {"method": "magic"}}, "words.method is its author's own: 'magic'"),
    ],
)
def test_words_for_the_search_that_are_not_this_versions(folder: Path, pruning: dict[str, Any], note: str) -> None:
    (folder / "README.md").unlink()
    edit_config(folder, lambda config: config["pruning"].update(pruning))
    (line,) = [line for line in said(folder) if "NOTE" in line]
    assert f"ticket.json: NOTE: pruning.{note}" in line


def test_this_versions_words_for_the_search(folder: Path) -> None:
    (folder / "README.md").unlink()
    words = found_words({"method": "imp", "scope": "global", "criterion": "snip"})
    edit_config(folder, lambda config: config.update(format=2))
    edit_config(folder, lambda config: config["pruning"].update(criterion="snip", words=words))
    assert not [line for line in said(folder) if "NOTE" in line]


@pytest.mark.parametrize("device", ["a CPU; winning at sparsity 0.99", "a GPU, 99.9% accuracy"])
def test_a_claim_in_the_device_of_a_card(folder: Path, device: str) -> None:
    edit_card(folder, "2 CPU &amp; 1 GPU\\_x", device)
    with pytest.raises(TicketError, match=r"and no (row gives 99\.9|level is winning)"):
        ticketzoo.verify(folder)


def test_no_name_makes_a_tag_of_a_verdict(folder: Path) -> None:
    edit_config(folder, lambda config: config["pruning"].update(method="Verdict: Winning"))
    edit_card(folder, "- verdict-", "- verdict-winning\n- verdict-")
    with pytest.raises(TicketError, match=r"tag verdict-winning, which ticket\.json does not give"):
        ticketzoo.verify(folder)


def test_plots_are_drawn_again(folder: Path) -> None:
    config, rows = read_summary(folder).config, measured()
    recipe = (folder / "recipe.yaml").read_text()
    for name, content in card_files(config, rows, recipe_text=recipe).items():
        (folder / name).write_bytes(content)
    assert "accuracy.png: the picture that its rows give" in said(folder)
    assert not [line for line in said(folder) if "NOTE" in line]
    better = [row | {"value": 0.999} if row["arm"] == "ticket" else row for row in rows]
    (folder / "accuracy.png").write_bytes(card_files(config, better)["accuracy.png"])
    with pytest.raises(TicketError, match=r"accuracy.png: was drawn of other rows than those of results.jsonl"):
        ticketzoo.verify(folder)


def test_cost_and_hub_id_are_the_authors_to_state(folder: Path) -> None:
    edit_card(folder, f'load_ticket("{NAME}"', 'load_ticket("alice/zoo"')
    edit_card(folder, "**trainings**: 3", "**trainings**: 30")
    assert not [line for line in said(folder) if "NOTE" in line]


@pytest.mark.parametrize(
    "text", ["", "# Mine\n", "---\ntags: 3\nmodel-index: {a: [1]}\n---\n", "|level|sparsity|\n|1\n"]
)
def test_any_card_is_compared(folder: Path, text: str) -> None:
    (folder / "README.md").write_text(text)
    try:
        assert said(folder)
    except TicketError as error:
        assert "README.md" in str(error)


def test_a_card_whose_metadata_is_a_bomb(folder: Path) -> None:
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
    (folder / "README.md").write_text(f"---\n{laughs}---\n")
    with pytest.raises(TicketError, match="more than 10,000 values"):
        ticketzoo.verify(folder)


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [
        ("test_loss", -0.5, r"line 2: value: -0\.5 cannot be: test_loss is at least 0"),
        ("test_perplexity", 0.5, r"line 2: value: 0\.5 cannot be: test_perplexity is at least 1"),
        ("train_accuracy", 1.6, r"line 2: value: 1\.6 cannot be: train_accuracy is from 0 to 1"),
    ],
)
def test_a_value_that_no_network_has_is_refused(folder: Path, metric: str, value: float, message: str) -> None:
    with_rows(folder, lambda rows: [rows[0], rows[0] | {"metric": metric, "value": value}, *rows[1:]])
    with pytest.raises(TicketError, match=f"results.jsonl {message}"):
        ticketzoo.verify(folder)


def test_a_recipe_of_another_name_is_noted(folder: Path) -> None:
    forge(folder, "recipe.yaml", b"name: another\n")
    assert "recipe.yaml: NOTE: name is 'another', in ticket.json lenet.digits-imp" in said(folder)


def test_rows_without_columns_give_nothing(tmp_path: Path) -> None:
    folder = make_ticket(results=[{"level": 1}]).save_pretrained(tmp_path / "zoo" / NAME)
    assert "results.jsonl: NOTE: nothing can be computed of these rows, which lack columns" in said(folder)
    with_rows(folder, lambda rows: [*rows, ROWS[0]])
    with pytest.raises(TicketError, match=r"results.jsonl line 1: ticket: Field required"):
        ticketzoo.verify(folder)


SHIPPED = sorted(path.parent.name for path in Path("registry").glob("*/ticket.json"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_every_ticket_of_the_registry_states_what_its_rows_give(name: str) -> None:
    checks = said(Path("registry", name).absolute())
    assert not [line for line in checks if "NOTE" in line and "keeps" not in line and "was not compared" not in line]
    assert "README.md: its tables, metadata and verdict are those of ticket.json and the rows" in checks
    assert any(line.startswith(("accuracy.png: ", "perplexity.png: ", "return.png: ")) for line in checks)
