"""Write the measured tables of docs/ and registry/ from results files: `python docs/build.py` (after any new run).

Text between `<!-- NAME -->` and `<!-- end -->` is replaced; everything else is left as it is.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adversarial_tables import parts as adversarial_parts
from cartpole_tables import parts as cartpole_parts
from causal_tables import causal_order, causal_table, forgetting
from comparisons import chen_2020, rewinding
from connectivity_tables import parts as connectivity_parts
from elastic_tables import PUBLISHED
from elastic_tables import parts as elastic_parts
from finder_page import parts
from lstm_tables import parts as lstm_parts
from matrix_page import parts as matrix_parts
from overlap_tables import draw, table_layers, table_levels, table_near
from overlap_tables import words as overlap_words
from sentences import encoder_words, first_result, frankle_2019_trials, rewinding_words, stable_where, zoo_words
from simclr_tables import parts as simclr_parts
from study_tables import of_double_descent, of_grokking, of_tangent

from ticketzoo.evaluation.again import rows_on_source
from ticketzoo.evaluation.statistics import Group, group_rows
from ticketzoo.evaluation.tables import transfer_table
from ticketzoo.instability.measure import Instability, instabilities, relative_barrier, stability_label, stable_from
from ticketzoo.instability.plots import network_name, plot_instability, plot_lines
from ticketzoo.ticket.config import parse_config
from ticketzoo.ticket.folder import read_config
from ticketzoo.zoo.places import ticket_folders
from ticketzoo.zoo.summary import read_summary
from ticketzoo.zoo.table import markdown_table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
IMAGES = ROOT / "docs" / "images"
STABLE = 0.02
"""The instability below which Frankle et al. (2020) call a network stable."""


@dataclass(frozen=True)
class StabilityAnalysis:
    """An analysis of ours, and from where on dense network and IMP's subnetworks are stable in the paper."""

    experiment: str
    dense: str
    subnetworks: str


ERRORS = ("false_matching", "false_winning", "false_winning_at_the_margin")
"""Rates of benchmarks/verdict_errors.py."""

STABILITY = {
    "lenet-300-100.mnist-stability": StabilityAnalysis(
        "LeNet-300-100 on MNIST", dense="initialisation", subnetworks="initialisation"
    ),
    "resnet-20.fashion-mnist-stability": StabilityAnalysis(
        "ResNet-20, there on CIFAR-10, here reduced on Fashion-MNIST",
        dense="iteration 2,000 (3% of training)",
        subnetworks="iteration 500",
    ),
}
"""By the name of the results file."""

STUDIES = {
    "double-descent": (of_double_descent, "lenet-300-100.mnist-double-descent"),
    "double-descent-reduced": (of_double_descent, "lenet-300-100.mnist-double-descent-reduced"),
    "grokking": (of_grokking, "one-layer.addition-mod-67-grokking"),
    "tangent": (of_tangent, "lenet-300-100.mnist-tangent"),
}
"""Tables and plots of studies, with the run's name, by the name of the results file."""
DOMAINS = {"lstm": lstm_parts, "adversarial": adversarial_parts, "cartpole": cartpole_parts, "simclr": simclr_parts}
"""Tables of other domains by the name of the results file."""
ELASTIC = {"elastic-mlp": PUBLISHED, "elastic-resnet": {}}
"""The paper's numbers by the name of the results file, of tickets that were stretched."""


def read_rows(name: str) -> list[dict]:
    """The rows of docs/results/`name`.jsonl."""
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


FIRST = "lenet-5.fashion-mnist-imp"
FIRST_TITLE = "LeNet-5 on Fashion-MNIST, trained for three epochs"
"""The ticket whose result README begins with, and what it is."""


def ticket_rows(name: str) -> list[dict]:
    """The rows of a ticket in registry/ that are of its source."""
    lines = (ROOT / "registry" / name / "results.jsonl").read_text().splitlines()
    config, recipe = (ROOT / "registry" / name / part for part in ("ticket.json", "recipe.yaml"))
    return rows_on_source([*map(json.loads, lines)], parse_config(config.read_bytes(), name), recipe.read_text())


def replace(document: Path, name: str, text: str) -> None:
    """Put `text` between the markers of `name` in `document`."""
    marked = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", flags=re.DOTALL)
    old = document.read_text()
    if not marked.search(old):
        raise SystemExit(f"{document}: no markers <!-- {name} --> ... <!-- end -->")
    new = marked.sub(lambda match: f"{match[1]}{text}\n{match[2]}", old)
    if new != old:
        document.write_text(new)


def frankle_2019(rows: list[dict]) -> str:
    """Early stopping and accuracy of tickets and re-initialisations against dense, as in figures 3 and 4."""
    accuracy, final, stop = early_stopping(rows)
    dense = ("dense", 0)
    lines = [
        "| level | weights kept | arm | trials | early stop (iteration) | of dense's | test accuracy there "
        "| at 50,000 |",
        "|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for arm, level in sorted(stop, key=lambda key: (key[1], key[0] != "dense", key[0] != "ticket")):
        if (arm, level) == ("ticket", 0):
            continue
        group = stop[arm, level]
        relative = group.summary.mean / stop[dense].summary.mean
        lines.append(
            f"| {level} | {1 - group.sparsity:.1%} | {arm} | {len(group.by_seed)} | {span(group, '{:,.0f}')} | "
            f"{relative:.2f} | {span(accuracy[arm, level], '{:.2%}')} | {span(final[arm, level], '{:.2%}')} |"
        )
    return "\n".join(lines)


def claims_2019(rows: list[dict]) -> list[tuple[str, str, str, bool | None]]:
    """Return what the paper says in section 2 and figures 3 and 4, what `rows` say, and if the direction is the same.

    The last is None where the paper has no difference.
    """
    accuracy, _, stop = ({key: group.summary.mean for key, group in of.items()} for of in early_stopping(rows))
    dense, ticket, reinit = ("dense", 0), ("ticket", 7), ("random_reinit", 7)

    def points(one: tuple[str, int], other: tuple[str, int]) -> str:
        return f"{100 * (accuracy[one] - accuracy[other]):+.2f} points"

    return [
        ("early stop with 21.1% of the weights, against dense", "38% earlier",
         f"{1 - stop[ticket] / stop[dense]:.0%} earlier", stop[ticket] < stop[dense]),
        ("accuracy with 13.5% of the weights, against dense", "more than +0.3 points, the peak",
         points(("ticket", 9), dense), accuracy["ticket", 9] > accuracy[dense]),
        ("accuracy with 3.6% of the weights, against dense", "the same", points(("ticket", 15), dense), None),
        ("early stop with 3.6% of the weights, of dense's", "the same",
         f"{stop['ticket', 15] / stop[dense]:.2f}", None),
        ("random re-initialisation at 21.1%, against dense", "below", points(reinit, dense),
         accuracy[reinit] < accuracy[dense]),
        ("its minimum validation loss, against the ticket's", "2.51 times later",
         f"{stop[reinit] / stop[ticket]:.2f} times", stop[reinit] > stop[ticket]),
        ("the ticket's accuracy at 21.1%, against it", "+0.5 points", points(ticket, reinit),
         accuracy[ticket] > accuracy[reinit]),
    ]  # fmt: skip


def frankle_2019_claims(claims: list[tuple[str, str, str, bool | None]]) -> str:
    """Return the claims as a table."""
    return "\n".join(["| | paper | here |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c, _ in claims)])


def early_stopping(rows: list[dict]) -> list[dict[tuple[str, int], Group]]:
    """By arm and level: test accuracy at the early stop, after the last iteration, and the early stop's iteration."""
    asked = ({"at": "best"}, {"at": "final"}, {"at": "best", "value": "step"})
    return [{key_of(group): group for group in group_rows(rows, metric="test_accuracy", **one)} for one in asked]


def key_of(group: Group) -> tuple[str, int]:
    """The arm and level of `group`."""
    return group.key.arm, group.key.level


def span(group: Group, form: str) -> str:
    """Mean, and minimum to maximum over trials as the paper's error bars are."""
    values = group.by_seed.values()
    return f"{form.format(group.summary.mean)} ({form.format(min(values))} to {form.format(max(values))})"


def zoo_transfers() -> list[dict]:
    """The rows on other data that tickets of registry/ carry; one made from others has some on its own alone."""
    carried: list[dict] = []
    for folder in [one for one in ticket_folders(ROOT / "registry") if (one / "recipe.yaml").is_file()]:
        own = ticket_rows(folder.name)
        rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
        carried.extend(row for row in rows if row not in own)
    return carried


def stability_claims() -> str:
    """From where on networks are stable: the paper's and ours."""
    lines = ["| | paper: stable from | here: stable from |", "|---|---|---|"]
    for name, analysis in STABILITY.items():
        measured = instabilities(read_rows(name))
        for level, sparsity in sorted({(one.level, one.sparsity) for one in measured}):
            start = stable_from(measured, level, STABLE)
            here = "initialisation" if start == 0 else "undecided" if start is None else f"iteration {start}"
            published = analysis.subnetworks if level else analysis.dense
            lines.append(f"| {analysis.experiment}: {network_name(level, sparsity)} | {published} | {here} |")
    return "\n".join(lines)


def stability(name: str) -> str:
    """Instability by rewind step, and the plots of it and of the lines."""
    rows = read_rows(name)
    measured = instabilities(rows)
    plot_instability(measured, IMAGES / f"{name}.png", name=name, metric="test_accuracy", threshold=STABLE)
    plot_lines(rows, IMAGES / f"{name}-lines.png", name=name, metric="test_accuracy")
    lines = [
        "| network | from iteration | seeds | test error of the copies | instability (points of %) | of that error | |",
        "|---|--:|--:|--:|--:|--:|---|",
        *map(stability_line, measured),
    ]
    images = [f"![instability](images/{name}.png)", f"![error along the lines](images/{name}-lines.png)"]
    return "\n\n".join(["\n".join(lines), *images])


def stability_line(one: Instability) -> str:
    """A network and rewind step: the mean over seeds, and the smallest and largest."""
    values = [100 * value for value in one.by_seed.values()]
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    verdict = stability_label(one, STABLE)
    return (
        f"| {network_name(one.level, one.sparsity)} | {one.rewind_step:,} | {len(values)} | {one.end_error:.2%} | "
        f"{100 * one.summary.mean:.2f}{spread} | {relative_barrier(one) or 0:+.0%} | {verdict} |"
    )


def stress(commands: dict[str, dict]) -> str:
    """Return what benchmarks/stress.py counted."""
    lines = ["| | " + " | ".join(f"`{command}`" for command in commands) + " |", "|---" + "|--:" * len(commands) + "|"]

    def add(label: str, of: Callable[[dict], int]) -> None:
        lines.append(f"| {label} | " + " | ".join(f"{of(one):,}" for one in commands.values()) + " |")

    add("kills", lambda one: sum(one["killed"].values()))
    for left in sorted(
        {left for one in commands.values() for left in one["killed"]}, key=lambda x: (x == "nothing", x)
    ):
        add(f"left half-done: {left}", lambda one, left=left: one["killed"].get(left, 0))
    add("times it came to its end, after some of them", lambda one: one["ends"])
    add("finished trainings and lines met by runs that went on", lambda one: one["kept"])
    add("of these lost or written anew", lambda one: len(one["lost"]))
    add("done again", lambda one: len(one["again"]))
    add("files unlike those of the undisturbed run", lambda one: len(one["different"]))
    add("runs that failed by themselves", lambda one: len(one["failed"]))
    return "\n".join(lines)


def most_of(rates: Iterable[dict]) -> str:
    """The largest rate of each error, in words."""
    rates = list(rates)
    words = ("false matching", "false winning", "at the margin")
    return ", ".join(f"{word} {max(one[key] for one in rates):.1%}" for word, key in zip(words, ERRORS, strict=True))


def verdict_errors(found: dict) -> str:
    """Rates of error and power by design, spreads, correlation and seeds."""
    rates = found["rates"]
    either = [one for one in rates if one["design"].endswith(": on either")]
    source = [one for one in rates if one["design"].endswith(": on the source")]
    beside = [one for one in rates if one["design"].endswith(": on other data")]
    equal = [[one for one in of if one["spreads"] == "equal spreads"] for of in (source, beside, either)]
    lines = [
        f"Each line: {found['experiments']:,} simulated tickets. The most, lines on either left out: "
        f"{most_of(one for one in rates if one not in either)}.",
        "",
        f"Of a ticket with a source and two targets of other data, the most on the source: {most_of(source)}; on other "
        f"data: {most_of(beside)}; on either, for which 10% are spent: {most_of(either)}. Where spreads are equal, on "
        f"the source: {most_of(equal[0])}; on other data: {most_of(equal[1])}; on either: {most_of(equal[2])}.",
        "",
        "| design | spreads | correlation | seeds | false matching | false winning | at the margin | power at 2 |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in rates:
        numbers = " | ".join(f"{one[key]:.1%}" for key in (*ERRORS, "power"))
        lines.append(f"| {one['design']} | {one['spreads']} | {one['correlation']:g} | {one['seeds']} | {numbers} |")
    return "\n".join(lines)


def verdict_errors_until_decided(found: dict) -> str:
    """Rates where seeds are added, by design, spreads, correlation and the true difference to dense."""
    rates = found["rates"]
    below = [one for one in rates if one["difference"] < 0]
    most = {
        "matching": max(one["matching"] for one in below),
        "below": max(one["below"] for one in below),
        "winning": max(one["false_winning"] for one in rates),
    }
    said = ", ".join(f"{label} {rate:.1%}" for label, rate in most.items())
    lines = [
        f"Each line: {found['experiments']:,} simulated tickets, of which every level differs from dense by the true "
        f"difference. The most that is wrong: {said}.",
        "",
        "| design | spreads | correlation | true difference | matching | below | false winning | power at 2 "
        "| seeds, mean | decided |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in rates:
        what = f"{one['design']} | {one['spreads']} | {one['correlation']:g} | {one['difference']:g}"
        numbers = " | ".join(f"{one[key]:.1%}" for key in ("matching", "below", "false_winning", "power"))
        lines.append(f"| {what} | {numbers} | {one['seeds']:.1f} | {one['decided']:.1%} |")
    return "\n".join(lines)


def domains() -> Iterator[tuple[str, str]]:
    """The name and text of each part of docs/domains.md whose results file is there."""
    for name, its_parts in DOMAINS.items():
        if (RESULTS / f"{name}.jsonl").is_file():
            yield from its_parts(read_rows(name))
    for name, (of_study, title) in STUDIES.items():
        if (RESULTS / f"{name}.jsonl").is_file():
            yield name, of_study(read_rows(name), title, IMAGES / f"{name}.png")


def main() -> None:
    """Write every table."""
    errors = json.loads((RESULTS / "verdict-errors.json").read_text())
    replace(ROOT / "docs" / "verdicts.md", "verdict-errors", verdict_errors(errors))
    added = json.loads((RESULTS / "verdict-errors-until-decided.json").read_text())
    replace(ROOT / "docs" / "verdicts.md", "verdict-errors-until-decided", verdict_errors_until_decided(added))
    summaries = map(read_summary, ticket_folders(ROOT / "registry"))
    replace(ROOT / "registry" / "README.md", "tickets", markdown_table(summaries))
    first = read_config(ROOT / "registry" / FIRST)
    replace(
        ROOT / "README.md",
        "first",
        first_result(ticket_rows(FIRST), first.verdict, FIRST_TITLE, f"registry/{FIRST}/README.md"),
    )
    trials = read_rows("lenet-300-100.mnist-imp-frankle2019")
    claims = claims_2019(trials)
    directed = [same for *_, same in claims if same is not None]
    words = frankle_2019_trials(trials, early_stopping(trials)[2], sum(directed), len(directed))
    replace(ROOT / "docs" / "reproductions.md", "frankle-2019-trials", words)
    replace(ROOT / "docs" / "reproductions.md", "frankle-2019-claims", frankle_2019_claims(claims))
    replace(ROOT / "docs" / "reproductions.md", "frankle-2019", frankle_2019(trials))
    replace(ROOT / "docs" / "reproductions.md", "stability-claims", stability_claims())
    for name in STABILITY:
        replace(ROOT / "docs" / "reproductions.md", f"{name}-words", stable_where(read_rows(name), STABLE))
        replace(ROOT / "docs" / "reproductions.md", name, stability(name))
    replace(ROOT / "docs" / "reliability.md", "stress", stress(json.loads((RESULTS / "stress.json").read_text())))
    encoder = ticket_rows("all-minilm-l6-v2.wordnet-mlm-imp")
    replace(ROOT / "docs" / "reproductions.md", "chen-2020", chen_2020(encoder))
    replace(ROOT / "docs" / "reproductions.md", "chen-2020-words", encoder_words(encoder))
    resnet = "resnet-20.fashion-mnist-imp-reduced"
    by_step = {0: ticket_rows(resnet), 40: ticket_rows(f"{resnet}-40it")}
    replace(ROOT / "docs" / "reproductions.md", "resnet-20-rewinding-words", rewinding_words(by_step))
    replace(ROOT / "docs" / "reproductions.md", "resnet-20-rewinding", rewinding(by_step))
    for name, text in connectivity_parts(read_rows, IMAGES):
        replace(ROOT / "docs" / "connectivity.md", name, text)
    for family, published in ELASTIC.items():
        if (RESULTS / f"{family}.jsonl").is_file():
            for name, text in elastic_parts(read_rows(family), published):
                replace(ROOT / "docs" / "elastic.md", f"{family}-{name}", text)
    for name, text in domains():
        replace(ROOT / "docs" / "domains.md", name, text)
    for name, text in parts(read_rows, ticket_rows, ROOT / "registry", IMAGES):
        replace(ROOT / "docs" / "finders.md", name, text)
    overlaps, page = read_rows("overlaps"), ROOT / "docs" / "comparing.md"
    replace(page, "overlaps-words", overlap_words(overlaps, 0.893))
    replace(page, "overlaps-levels", table_levels(overlaps))
    replace(page, "overlaps-layers", table_layers(overlaps))
    replace(page, "overlaps", table_near(overlaps, 0.893))
    draw(overlaps, IMAGES / "overlaps.png")
    causal, page = read_rows("causal"), ROOT / "docs" / "causal-lms.md"
    replace(page, "causal", causal_table(causal))
    replace(page, "causal-retrained", causal_table(causal, retrained=True))
    replace(page, "causal-order", causal_order(causal))
    replace(page, "forgetting", forgetting(read_rows("forgetting"), "austen", "wordnet-glosses"))
    carried = zoo_transfers()
    replace(ROOT / "docs" / "transfer.md", "zoo-words", zoo_words(carried))
    replace(ROOT / "docs" / "transfer.md", "zoo", transfer_table(carried).markdown())
    for name, text in matrix_parts(read_rows, RESULTS, IMAGES):
        replace(ROOT / "docs" / "matrix.md", name, text)


if __name__ == "__main__":
    main()
