"""What several processes train on texts is what one trains, to rounding."""

from pathlib import Path

import pytest
import torch
from launched import results_of
from text_folders import LETTERS, write_data
from tiny_bert import tiny_bert

from ticketzoo.tasks import create_task
from ticketzoo.tasks.fill_mask import FillMaskConfig
from ticketzoo.tasks.question_answering import QuestionAnsweringConfig
from ticketzoo.tasks.task import Task
from ticketzoo.tasks.text_classification import TextClassificationConfig
from ticketzoo.training import TrainingConfig, train

CPU = torch.device("cpu")


def train_on_texts(letters: str, folders: dict[str, str]) -> dict[str, list[float]]:
    """Metrics of a tiny BERT without dropout on each task of texts."""
    configs = {"fill-mask": FillMaskConfig, "text-classification": TextClassificationConfig}
    configs |= {"question-answering": QuestionAnsweringConfig}
    metrics = {}
    for kind, config in configs.items():
        keys = {"max_length": 16} | ({"stride": 2, "question_length": 3} if kind == "question-answering" else {})
        keys |= {"type": kind, "dataset": {"path": folders[kind], "validation": 0}}
        task: Task = create_task(config.model_validate(keys), tokenizer=letters)
        model = tiny_bert(kind, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        training = TrainingConfig.model_validate(
            {"steps": "4it", "batch_size": 7, "optimizer": {"name": "adam", "lr": 0.01}}
        )
        final = train(model, task, training, seed=0, device=CPU).final
        metrics[kind] = [float(value) for _, value in sorted(final.items())]
    return metrics


@pytest.mark.slow
def test_processes_share_texts(tmp_path: Path, caches: Path, letters: Path) -> None:
    lines = [" ".join(LETTERS[(start + place) % 26] for place in range(2 + start % 7)) for start in range(24)]
    rows = {
        "fill-mask": [{"text": line} for line in lines],
        "text-classification": [{"text": line, "label": len(line) % 4 // 2} for line in lines],
        "question-answering": [
            {"id": line, "question": "a", "context": line, "answers": {"text": [line[2]], "answer_start": [2]}}
            for line in lines
        ],
    }
    folders = {
        kind: str(write_data(tmp_path / kind, {"train": content, "test": content[5:]}))
        for kind, content in rows.items()
    }
    alone = train_on_texts(str(letters), folders)
    together = results_of(2, train_on_texts, tmp_path, str(letters), folders)
    for kind, metrics in alone.items():
        assert together[0][kind] == pytest.approx(metrics, rel=1e-3, abs=1e-5), kind
    assert together[0] == together[1]
