"""Run benchmarks, one after the other, and put what each prints into its section of RESULTS.md (or another file)."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from measuring import to_text

FOLDER = Path(__file__).parent
BENCHMARKS = (
    "startup",
    "imp_epoch",
    "masked_step",
    "images",
    "streaming",
    "pruning_round",
    "scores_round",
    "packing",
    "bert_ticket",
    "tokens",
    "peak_memory",
    "score_memory",
    "stacked",
)
ON_GPU = {"masked_step": [], "images": [], "tokens": ["--precision", "bf16", "--batch-size", "32"], "stacked": []}
"""Those that can run on a GPU, and their options there."""
HEAD = "# Benchmarks\n\nWritten by `python benchmarks/all.py`. Medians, with quartiles in brackets; see README.md.\n"


def main() -> None:
    """Run them in processes of their own, so that none leaves anything behind for the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, help="some of them")
    parser.add_argument("--data", help="folder or Hub id of MNIST; random images of its shape if not given")
    parser.add_argument("--rounds", type=int, help="how often each way is measured; each benchmark's own if not given")
    parser.add_argument("--threads", type=int, help="processor threads of torch; torch's own choice if not given")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: those that can run on a GPU")
    parser.add_argument("--out", type=Path, default=FOLDER / "RESULTS.md", help="what to write")
    options = parser.parse_args()
    sections = read(options.out)
    for name in (one for one in options.only if options.device == "cpu" or one in ON_GPU):
        print(f"{name}.py", file=sys.stderr)
        chosen = {"--rounds": options.rounds, "--threads": options.threads}
        if name == "imp_epoch":
            chosen["--data"] = options.data
        extra = ["--device", options.device, *ON_GPU[name]] if options.device == "cuda" else []
        given = [text for key, value in chosen.items() if value for text in (key, str(value))]
        section = to_text(run(name, [*given, *extra]))
        print(section, end="\n\n", flush=True)
        sections[name] = f"{section}\n\n`python benchmarks/{name}.py`\n"
        options.out.write_text("\n".join([HEAD, *(sections[name] for name in BENCHMARKS if name in sections)]))


def read(results: Path) -> dict[str, str]:
    """The sections that an earlier run wrote, by the benchmark that each says it is of."""
    text = results.read_text() if results.exists() else ""
    return {name: section for section, name in re.findall(r"(## .*?`python benchmarks/(\w+)\.py`\n)", text, re.DOTALL)}


def run(name: str, arguments: list[str]) -> dict[str, object]:
    """The JSON document of a benchmark."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--json", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{name}.py failed with status {done.returncode}; nothing was written")
    content: dict[str, object] = json.loads(done.stdout)
    return content


if __name__ == "__main__":
    main()
