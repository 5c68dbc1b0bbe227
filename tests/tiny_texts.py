"""A folder to work in on texts: a tiny pretrained BERT, data for three tasks, a recipe to find and one to transfer."""

from pathlib import Path
from typing import Any

from text_folders import LETTERS, write_data, write_tokenizer
from tiny_bert import save_tiny_bert

COMMIT = "1" * 40

FIND = f"""
name: tiny-bert.letters-imp
model: {{name: transformers/big/bert@{COMMIT}, mirror: ./base}}
task: {{type: text-classification, dataset: {{path: ./vowels, validation: 0}}, metric: f1, max_length: 16}}
training: {{steps: 2it, batch_size: 8, optimizer: {{name: adamw, lr: 1.0e-3}}}}
finder: {{rate: 0.5, levels: 1}}
arms: [ticket, dense]
seeds: [0, 1]
package_from: 1
"""

TRANSFER = """
name: to-other-texts
tickets: [./runs/tiny-bert.letters-imp/tiny-bert.letters-imp]
base: ./base
levels: [1]
targets:
  - task: {type: question-answering, dataset: {path: ./quiz}, max_length: 24, stride: 4, question_length: 4}
    training: {steps: 4it}
  - name: cola
    task: {type: text-classification, dataset: {path: ./vowels}, metric: matthews, max_length: 16}
  - {task: {type: fill-mask, dataset: {path: ./vowels, column: sentence}, max_length: 16, name: lines}}
training: {steps: 2it, batch_size: 8, optimizer: {name: adamw, lr: 1.0e-3}}
arms: [ticket, dense]
seeds: [0, 1]
"""

LINES = [" ".join(LETTERS[(start + place) % 26] for place in range(3 + start % 9)) for start in range(60)]
"""Forty to train on and twenty to test on, no two alike."""


def question(line: str) -> dict[str, Any]:
    """Return what comes second in `line`?"""
    return {"question": line[0], "context": line, "answers": {"text": [line[2]], "answer_start": [2]}}


def write_texts(folder: Path) -> Path:
    """Write all of it into `folder`."""
    save_tiny_bert(write_tokenizer(folder / "base", limit=32))
    rows = [{"sentence": line, "label": int(line[0] not in "aeiou")} for line in LINES]
    write_data(folder / "vowels", {"train": rows[:40], "test": rows[40:]})
    quiz = [question(line) for line in LINES]
    write_data(folder / "quiz", {"train": quiz[:40], "test": quiz[40:]})
    (folder / "find.yaml").write_text(FIND)
    (folder / "transfer.yaml").write_text(TRANSFER)
    return folder
