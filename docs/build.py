"""Write the measured tables of docs/ and registry/ from results files: `python docs/build.py` (after any new run).

Text between `<!-- NAME -->` and `<!-- end -->` is replaced; everything else is left as it is.
"""

import json
import re
from pathlib import Path

from ticketzoo.registry import ticket_folders
from ticketzoo.transfer.statistics import Group, group_rows
from ticketzoo.transfer.summary import markdown_table, read_summary
from ticketzoo.transfer.tables import arms_table, transfer_table
from ticketzoo.transfer.verdict import judge_all, sentence

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"


def read_rows(name: str) -> list[dict]:
    """The rows of docs/results/`name`.jsonl."""
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def replace(document: Path, name: str, text: str) -> None:
    """Put `text` between the markers of `name` in `document`."""
    marked = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", flags=re.DOTALL)
    old = document.read_text()
    if not marked.search(old):
        raise SystemExit(f"{document}: no markers <!-- {name} --> ... <!-- end -->")
    document.write_text(marked.sub(lambda match: f"{match[1]}{text}\n{match[2]}", old))


def frankle_2019(rows: list[dict]) -> str:
    """Early stopping and accuracy of tickets and re-initialisations against dense, as in figures 3 and 4."""
    accuracy = {key_of(group): group for group in group_rows(rows, metric="test_accuracy", at="best")}
    final = {key_of(group): group for group in group_rows(rows, metric="test_accuracy", at="final")}
    stop = {key_of(group): group for group in group_rows(rows, metric="test_accuracy", at="best", value="step")}
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


def key_of(group: Group) -> tuple[str, int]:
    """The arm and level of `group`."""
    return group.key.arm, group.key.level


def span(group: Group, form: str) -> str:
    """Mean, and minimum to maximum over trials as the paper's error bars are."""
    values = group.by_seed.values()
    return f"{form.format(group.summary.mean)} ({form.format(min(values))} to {form.format(max(values))})"


def transfer(rows: list[dict]) -> str:
    """Ticket minus dense, the verdicts, and the arms on every target."""
    verdicts = "\n".join(f"- **{name}**: {sentence(verdict)}" for name, verdict in judge_all(rows).items())
    arms = [
        f"**{ticket} on {target}**\n\n{table.markdown()}"
        for ticket in dict.fromkeys(row["ticket"] for row in rows)
        for target in dict.fromkeys(row["target"] for row in rows)
        for table in [arms_table([r for r in rows if r["ticket"] == ticket and r["target"] == target], target=target)]
    ]
    return "\n\n".join([transfer_table(rows).markdown(), verdicts, *arms])


def main() -> None:
    """Write every table."""
    summaries = map(read_summary, ticket_folders(ROOT / "registry"))
    replace(ROOT / "registry" / "README.md", "tickets", markdown_table(summaries))
    reproduction = frankle_2019(read_rows("lenet-300-100.mnist-imp-frankle2019"))
    replace(ROOT / "docs" / "reproductions.md", "frankle-2019", reproduction)
    for name in ("mnist-fashion-mnist", "sgd-adam"):
        replace(ROOT / "docs" / "transfer.md", name, transfer(read_rows(name)))


if __name__ == "__main__":
    main()
