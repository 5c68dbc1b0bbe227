"""Perplexity of a pruned language model, by finder: the rows of finished runs of recipes/causal.

    python benchmarks/causal.py FOLDER > docs/results/causal.jsonl

FOLDER holds the tickets of `ticketzoo find causal/smollm2-NAME`, one folder each, at any depth, whose names end with
the finder's. Of each row of a ticket or of the dense network a line is written, with the finder's name, and the
iterations that its levels were trained for, 0 where they are measured as they are (`finder.retrain`);
`python docs/build.py` makes the tables of docs/causal-lms.md of them.
"""

import argparse
import json
from pathlib import Path

import yaml

FINDERS = (
    "owl",
    "wanda",
    "sparsegpt-update",
    "sparsegpt",
    "magnitude-rows",
    "magnitude-layer",
    "magnitude-model",
    "random",
)
KEYS = ("level", "sparsity", "arm", "seed", "metric", "value")


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for results in sorted(parser.parse_args().folder.rglob("results.jsonl")):
        finder = next((one for one in FINDERS if results.parent.name.endswith(f"-{one}")), None)
        if finder is None:
            continue
        recipe = yaml.safe_load((results.parent / "recipe.yaml").read_text())
        retrained = int(recipe["training"]["steps"].removesuffix("it")) if recipe["finder"]["retrain"] else 0
        for line in results.read_text().splitlines():
            row = json.loads(line)
            if row["arm"] in ("ticket", "chance"):
                print(json.dumps({"finder": finder, "retrained": retrained, **{key: row[key] for key in KEYS}}))


if __name__ == "__main__":
    main()
