"""The files of an evaluation: what was asked, every number, what was concluded, and all of it for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ticketzoo.recipe import Config, dump_recipe
from ticketzoo.training.checkpoint import write_atomically
from ticketzoo.transfer.rows import Row, rows_as_jsonl


def write_results(
    out: Path, recipe: Config, rows: list[Row], conclusions: Mapping[str, object], sections: Sequence[str]
) -> list[str]:
    """Write into `out` recipe.yaml, results.jsonl, `conclusions` and report.md; their names, in this order.

    Args:
        out: folder to write into.
        recipe: what was asked.
        rows: of results.jsonl.
        conclusions: JSON by file name.
        sections: of the report, as Markdown.
    """
    texts = {
        "recipe.yaml": dump_recipe(recipe),
        "results.jsonl": rows_as_jsonl(rows),
        **{name: json.dumps(content, indent=2) + "\n" for name, content in conclusions.items()},
        "report.md": "\n\n".join(sections) + "\n",
    }
    for name, text in texts.items():
        write_atomically(out / name, text.encode())
    return list(texts)
