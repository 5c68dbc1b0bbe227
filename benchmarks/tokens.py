"""Tokens per second of masked language modelling, against the Trainer of transformers; and with masks on the model."""

import copy
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns
from own_caches import own_caches
from random_texts import write_texts
from torch import nn

from ticketzoo.data.text.corpus import CorpusDataset, Form, tokenize_corpus
from ticketzoo.data.text.rows import split_rows
from ticketzoo.data.text.tokenizer import load_tokenizer
from ticketzoo.masks.attach import attach
from ticketzoo.masks.masks import Masks, total
from ticketzoo.masks.topk import keep_largest
from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.tasks import create_task
from ticketzoo.tasks.fill_mask import FillMaskConfig
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.loop import train

LENGTH = 64
SPARSITY = 0.7
SEED = 0
FORMS: tuple[Form, Form] = ("blocks", "lines")


def main() -> None:
    """Measure an epoch of blocks, which are all of one length, and an epoch of lines, which are not."""
    parser = arguments(__doc__, rounds=4)
    parser.add_argument("--steps", type=int, default=4, help="batches in an epoch")
    parser.add_argument("--batch-size", type=int, default=16, help="sequences in a batch")
    parser.add_argument("--layers", type=int, default=6, help="of the encoder")
    parser.add_argument("--hidden-size", type=int, default=384, help="of the encoder")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of both")
    parser.add_argument("--device", default="cpu", help="where to train")
    options = parse(parser)
    device = torch.device(options.device)
    size = {"num_hidden_layers": options.layers, "hidden_size": options.hidden_size}
    size |= {"intermediate_size": 4 * options.hidden_size, "num_attention_heads": options.hidden_size // 32}
    model = create_model("transformers/bert", seed=SEED, head="fill-mask", config=size).to(device)
    count = options.steps * options.batch_size
    with TemporaryDirectory() as folder, own_caches(folder):
        texts = {"blocks": [count * (LENGTH - 2)], "lines": line_lengths(count)}
        blocks, lines = (
            Epoch(
                model, write_texts(Path(folder, form), texts[form]), form, options.batch_size, options.precision, device
            )
            for form in FORMS
        )
        masked = partial(blocks.ours, masks_of(model))
        on_blocks = take_turns({"ours": blocks.ours, "masked": masked, "Trainer": blocks.trainer}, options.rounds)
        on_lines = take_turns({"ours": lines.ours, "Trainer": lines.trainer}, options.rounds)
    rows = [
        against_trainer(f"blocks of {LENGTH} tokens", on_blocks),
        against_trainer(f"lines of {lines.tokens / count:.1f} tokens", on_lines),
        Row("blocks, with masks", "us", on_blocks["masked"], "without", on_blocks["ours"], Goal(1.02, "ratio")),
    ]
    facts = {
        "model": f"BERT, {options.layers} layers of {options.hidden_size}, 30,522 tokens, random weights",
        "batch size": options.batch_size,
        "precision": options.precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "sparsity of the masks": SPARSITY,
    }
    for row in rows[:2]:
        ours, theirs = (1e6 / statistics.median(samples) for samples in (row.ours, row.theirs))
        facts[f"tokens per second, {row.case}"] = f"{ours:,.0f}, of the Trainer {theirs:,.0f}"
    Report("Tokens of masked language modelling", rows, facts).print(options.json)


def against_trainer(case: str, samples: Mapping[str, Sequence[float]]) -> Row:
    """Microseconds a token, padding not counted."""
    return Row(case, "us", samples["ours"], "transformers Trainer", samples["Trainer"], Goal(0.769, "ratio"))


def line_lengths(count: int) -> list[int]:
    """Words of `count` lines: 24 in the middle, half of them from 16 to 36, none longer than fits."""
    drawn = np.random.default_rng(1).lognormal(np.log(24), 0.6, count)
    return [int(length) for length in drawn.clip(3, LENGTH - 2)]


def masks_of(model: nn.Module) -> Masks:
    """The largest of the model's prunable weights."""
    weights = {name: parameter.detach().cpu() for name, parameter in prunable_parameters(model).items()}
    dense = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}
    return keep_largest(weights, dense, round((1 - SPARSITY) * total(dense)))


class Epoch:
    """A training of one epoch over the texts in `folder`, from the same weights each time."""

    def __init__(
        self, model: nn.Module, folder: Path, form: Form, batch_size: int, precision: str, device: torch.device
    ) -> None:
        self.model, self.folder, self.batch_size, self.precision = model, folder, batch_size, precision
        self.device = device
        keys = {"dataset": {"path": str(folder / "texts"), "validation": 0}, "sequences": form, "max_length": LENGTH}
        self.task = create_task(
            FillMaskConfig.model_validate({"type": "fill-mask", **keys}), tokenizer=folder / "tokenizer"
        )
        dataset = CorpusDataset(path=str(folder / "texts"), validation=0)
        rows = split_rows(dataset, dataset.load())["train"]
        sequences = tokenize_corpus(rows, "text", load_tokenizer(folder / "tokenizer"), form, LENGTH)
        self.rows = [{"input_ids": ids.tolist()} for ids in sequences.ids.split(sequences.lengths.tolist())]
        self.tokens = len(sequences.ids)

    def ours(self, masks: Masks | None = None) -> float:
        """Microseconds a token of our loop, an evaluation on one short text included."""
        model = copy.deepcopy(self.model)
        if masks:
            attach(model, masks)
        training = TrainingConfig.model_validate(
            {
                "steps": "1ep",
                "batch_size": self.batch_size,
                "optimizer": {"name": "adamw", "lr": 5e-5},
                "schedule": {"name": "linear"},
                "precision": self.precision,
            }
        )
        with Stopwatch() as watch:
            train(model, self.task, training, seed=SEED, device=self.device)
            self._wait()
        return 1e6 * watch.seconds / self.tokens

    def trainer(self) -> float:
        """Microseconds a token of the Trainer, what it does before and after its steps not included."""
        from transformers import (
            AutoTokenizer,
            DataCollatorForLanguageModeling,
            PrinterCallback,
            Trainer,
            TrainerCallback,
            TrainingArguments,
        )

        watch, wait = Stopwatch(), self._wait

        class Timed(TrainerCallback):
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                watch.__enter__()

            def on_train_end(self, *_: Any, **__: Any) -> None:
                wait()
                watch.__exit__()

        with TemporaryDirectory() as out:
            arguments = TrainingArguments(
                output_dir=out,
                num_train_epochs=1,
                per_device_train_batch_size=self.batch_size,
                learning_rate=5e-5,
                optim="adamw_torch_fused",
                lr_scheduler_type="linear",
                max_grad_norm=0,
                bf16=self.precision == "bf16",
                use_cpu=self.device.type == "cpu",
                seed=SEED,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            collator = DataCollatorForLanguageModeling(AutoTokenizer.from_pretrained(self.folder / "tokenizer"))
            model = copy.deepcopy(self.model)
            trainer = Trainer(model, arguments, collator, train_dataset=self.rows, callbacks=[Timed()])
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return 1e6 * watch.seconds / self.tokens

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


if __name__ == "__main__":
    main()
