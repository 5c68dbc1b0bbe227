import math
from pathlib import Path
from typing import Any

import pytest
import torch
from text_folders import CLS, LETTERS, MASK, PAD, SEP, SPECIAL, UNK, token, write_data, write_tokenizer
from torch import Tensor, nn
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    PretrainedConfig,
    RobertaConfig,
)

from ticketzoo.data.text.token_masks import mask_tokens
from ticketzoo.data.text.tokenizer import load_tokenizer
from ticketzoo.errors import DataError, ModelError
from ticketzoo.models import create_model
from ticketzoo.models.signature import Signature, Tokens, Vocabulary
from ticketzoo.tasks import create_task
from ticketzoo.tasks.fill_mask import Batch, FillMask, FillMaskConfig, logits_at

CPU = torch.device("cpu")
VOCABULARY = len(SPECIAL) + len(LETTERS)
SMALL = {"vocab_size": VOCABULARY, "max_position_embeddings": 66}


def bert(**keys: Any) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return AutoModelForMaskedLM.from_config(BertConfig(**(SMALL | sizes | keys))).eval()


@pytest.fixture
def folder(tmp_path: Path, caches: Path) -> Path:
    """Training lines of 1 to 8 letters; 10 lines of test."""
    lines = [" ".join(LETTERS[(start + place) % 26] for place in range(1 + start % 8)) for start in range(40)]
    splits = {"train": [{"text": line} for line in lines], "test": [{"text": line} for line in lines[:10]]}
    return write_data(tmp_path / "letters", splits)


def task_of(path: Path, letters: Path, *, dataset: dict[str, Any] | None = None, **keys: Any) -> FillMask:
    content = {"type": "fill-mask", "dataset": {"path": str(path), "validation": 0} | (dataset or {}), "max_length": 16}
    task = create_task(FillMaskConfig.model_validate(content | keys), tokenizer=letters)
    assert isinstance(task, FillMask)
    return task


def originals(batch: Batch) -> Tensor:
    """The batch's tokens before masking, flat with padding."""
    ids = batch.inputs["input_ids"].flatten().clone()
    ids[batch.positions] = batch.tokens
    return ids


def test_lines_are_sequences_between_the_special_tokens(folder: Path, letters: Path) -> None:
    (batch,) = task_of(folder, letters, sequences="lines").batches(40, 0, 0, 1, CPU)
    ids = originals(batch).view(40, -1)
    lines = sorted(row[row != PAD].tolist() for row in ids)
    assert len(lines) == 40 and max(map(len, lines)) == ids.shape[1] == 10
    assert [CLS, token("a"), SEP] in lines
    assert [CLS, *map(token, "hijklmno"), SEP] in lines
    assert torch.equal(batch.inputs["attention_mask"], (ids != PAD).long())


def test_a_long_line_is_cut_to_fit(folder: Path, letters: Path) -> None:
    (batch,) = task_of(folder, letters, sequences="lines", max_length=6).batches(40, 0, 0, 1, CPU)
    ids = originals(batch).view(40, -1)
    assert ids.shape[1] == 6
    assert [CLS, *map(token, "hijk"), SEP] in ids.tolist()


def test_blocks_hold_all_text_in_order_with_separators(tmp_path: Path, caches: Path, letters: Path) -> None:
    texts = ["a b c", "  ", "d e", "", "f g h i"]
    data = write_data(tmp_path / "data", {split: [{"text": text} for text in texts] for split in ("train", "test")})
    (batch,) = task_of(data, letters, max_length=6).batches(10, 0, 0, 1, CPU)
    rows = [row[row != PAD].tolist() for row in originals(batch).view(3, -1)]
    stream = [*map(token, "abc"), SEP, *map(token, "de"), SEP, *map(token, "fghi")]
    assert sorted(rows) == sorted([[CLS, *stream[start : start + 4], SEP] for start in (0, 4, 8)])


def test_sequences_of_one_length_need_no_attention_mask(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [{"text": "a b c d"}] * 4
    data = write_data(tmp_path / "data", {"train": rows, "test": rows})
    (batch,) = task_of(data, letters, sequences="lines").batches(4, 0, 0, 1, CPU)
    assert batch.inputs["input_ids"].shape == (4, 6) and set(batch.inputs) == {"input_ids"}


def test_masking_chooses_its_share_and_shows_most_as_the_mask(letters: Path) -> None:
    tokenizer = load_tokenizer(letters)
    ids = torch.full((100_000,), token("c"))
    seen, chosen = mask_tokens(ids, tokenizer, 0.15, seed=1)
    picked = seen[chosen]
    # Standard deviations: 0.0011 of the chosen share; below 0.0035 of the shares of 15,000 chosen.
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.006)
    assert (picked == MASK).float().mean().item() == pytest.approx(0.8 + 0.1 / VOCABULARY, abs=0.02)
    assert (picked == token("c")).float().mean().item() == pytest.approx(0.1 + 0.1 / VOCABULARY, abs=0.02)
    assert (picked == token("z")).float().mean().item() == pytest.approx(0.1 / VOCABULARY, abs=0.003)
    assert torch.equal(seen[~chosen], ids[~chosen])


def test_special_tokens_are_never_to_be_guessed(letters: Path) -> None:
    tokenizer = load_tokenizer(letters)
    ids = torch.tensor([PAD, UNK, CLS, SEP, MASK, token("a")] * 1000)
    seen, chosen = mask_tokens(ids, tokenizer, 0.9, seed=0)
    assert torch.equal(ids[chosen].unique(), torch.tensor([token("a")]))
    assert torch.equal(seen[~chosen], ids[~chosen])


def test_one_token_is_guessed_where_chance_chooses_none(letters: Path) -> None:
    tokenizer = load_tokenizer(letters)
    ids = torch.tensor([CLS, token("a"), token("b"), SEP])
    counts = {int(mask_tokens(ids, tokenizer, 1e-9, seed)[1].sum()) for seed in range(20)}
    assert counts == {1}
    assert not mask_tokens(ids[[0, 3]], tokenizer, 0.5, seed=0)[1].any()


def test_batches_are_a_function_of_seed_and_step(folder: Path, letters: Path) -> None:
    task = task_of(folder, letters, sequences="lines")

    def batches(seed: int, start: int, stop: int) -> list[tuple[list[int], list[int]]]:
        return [
            (batch.inputs["input_ids"].flatten().tolist(), batch.positions.tolist())
            for batch in task.batches(8, seed, start, stop, CPU)
        ]

    assert batches(0, 0, 12) == batches(0, 0, 12)
    assert batches(0, 7, 12) == batches(0, 0, 12)[7:]
    assert batches(0, 0, 5) != batches(1, 0, 5)
    assert batches(0, 0, 5) != batches(0, 5, 10)


def test_an_epoch_sees_every_line_once_in_batches_of_like_length(folder: Path, letters: Path) -> None:
    task = task_of(folder, letters, sequences="lines")
    assert task.steps_per_epoch(7) == 6
    rows, padding = [], []
    for batch in task.batches(7, 3, 6, 12, CPU):
        ids = originals(batch).view(len(batch.inputs["input_ids"]), -1)
        rows += [tuple(row[row != PAD].tolist()) for row in ids]
        padding.append((ids == PAD).float().mean().item())
    assert len(rows) == len(set(rows)) == 40
    assert max(padding[:-1]) < 0.35  # of lengths 3 to 10 mixed, about 0.35 would be padding on average


@pytest.mark.parametrize("model_type", [BertConfig, RobertaConfig, DistilBertConfig, ElectraConfig])
def test_scores_at_the_masked_positions_are_those_of_the_whole_forward(
    model_type: type[PretrainedConfig], folder: Path, letters: Path
) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    if model_type is DistilBertConfig:
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(model_type(**SMALL, **sizes)).eval()
    (batch,) = task_of(folder, letters, sequences="lines").batches(40, 0, 0, 1, CPU)
    inputs = {
        name: tensor for name, tensor in batch.inputs.items()
        if model_type is not DistilBertConfig or name != "token_type_ids"
    }  # fmt: skip
    scores = logits_at(model, inputs, batch.positions)
    assert scores.shape == (len(batch.tokens), VOCABULARY)
    whole = model(**inputs).logits.flatten(0, 1)[batch.positions]
    torch.testing.assert_close(scores, whole)


def test_the_head_scores_the_masked_positions_alone(folder: Path, letters: Path) -> None:
    model = bert()
    rows = []
    model.get_output_embeddings().register_forward_hook(lambda *arguments: rows.append(arguments[2].shape[:-1].numel()))
    (batch,) = task_of(folder, letters, sequences="lines").batches(40, 0, 0, 1, CPU)
    task_of(folder, letters, sequences="lines").loss(model, batch)
    assert rows == [len(batch.tokens)]


def test_the_loss_is_that_of_transformers_with_labels_elsewhere_ignored(folder: Path, letters: Path) -> None:
    task, model = task_of(folder, letters, sequences="lines"), bert()
    (batch,) = task.batches(16, 0, 0, 1, CPU)
    labels = torch.full((batch.inputs["input_ids"].numel(),), -100)
    labels[batch.positions] = batch.tokens
    expected = model(**batch.inputs, labels=labels.view_as(batch.inputs["input_ids"])).loss
    assert task.loss(model, batch).item() == pytest.approx(expected.item(), rel=1e-5)


class Favourite(nn.Module):
    """Guesses one token everywhere, with a score of `score` where others have 0."""

    def __init__(self, guess: int, score: float) -> None:
        super().__init__()
        self.config = BertConfig(**SMALL)
        self.scores = torch.zeros(VOCABULARY)
        self.scores[guess] = score
        self.base_model = nn.Identity()

    def forward(self, input_ids: Tensor, **others: Any) -> Any:
        class Output:
            last_hidden_state = torch.zeros(*input_ids.shape, 1)

        output = self.base_model(Output())
        output.logits = output.last_hidden_state + self.scores
        return output


def test_evaluation_is_the_mean_over_all_masked_positions(
    folder: Path, letters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(folder, letters, sequences="lines", mask=0.9)
    sequences, _, chosen = task._held_out["test"]
    favourite, score = token("c"), 2.0
    share = (sequences.ids[chosen] == favourite).float().mean().item()
    assert 0 < share < 1
    loss = math.log(math.exp(score) + VOCABULARY - 1) - share * score
    expected = {"loss": loss, "accuracy": share, "perplexity": math.exp(loss)}
    assert task.evaluate(Favourite(favourite, score), "test", CPU) == pytest.approx(expected)
    monkeypatch.setattr("ticketzoo.tasks.fill_mask.EVALUATION_TOKENS", 20)
    assert task.evaluate(Favourite(favourite, score), "test", CPU) == pytest.approx(expected)


def test_guesses_are_scored_as_networks_are(folder: Path, letters: Path) -> None:
    task = task_of(folder, letters, sequences="lines", mask=0.9)
    sequences, _, chosen = task._held_out["test"]
    there = sequences.ids[chosen].unique().tolist()
    guesses = task.guesses("test")
    scored = [task.evaluate(Favourite(guess, 2.0), "test", CPU)["accuracy"] for guess in there]
    assert guesses["accuracy"] == pytest.approx(scored)
    shares = guesses["accuracy"]
    assert guesses["perplexity"] == pytest.approx([math.prod(share**-share for share in shares)])


def test_evaluation_masks_the_same_tokens_every_time(folder: Path, letters: Path) -> None:
    model = bert()
    first, again = (task_of(folder, letters, sequences="lines") for _ in range(2))
    assert first.evaluate(model, "test", CPU) == again.evaluate(model, "test", CPU)


def test_tokens_come_from_the_cache_unless_it_is_damaged(folder: Path, letters: Path, caches: Path) -> None:
    fresh = task_of(folder, letters).identity
    files = sorted((caches / "tokens").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    assert task_of(folder, letters).identity == fresh
    assert [file.stat().st_mtime_ns for file in files] == times
    content = bytearray(files[0].read_bytes())
    content[-1] ^= 1
    files[0].write_bytes(content)
    assert task_of(folder, letters).identity == fresh
    assert files[0].read_bytes() != bytes(content)


def test_the_identity_is_of_the_tokens_and_the_masking(folder: Path, letters: Path, tmp_path: Path) -> None:
    task = task_of(folder, letters)
    assert task.identity == task_of(folder, write_tokenizer(tmp_path / "same")).identity
    for other in (
        task_of(folder, letters, sequences="lines"),
        task_of(folder, letters, max_length=12),
        task_of(folder, letters, mask=0.2),
        task_of(folder, letters, dataset={"examples": 30}),
        task_of(folder, letters, dataset={"validation": 5}),
    ):
        assert other.identity != task.identity
    assert str(folder) not in str(task.identity)
    assert task.signature == Signature(Tokens(31), Vocabulary(31))


def test_data_can_be_read_from_a_mirror_that_is_not_written_down(folder: Path, letters: Path) -> None:
    task = task_of(folder, letters, dataset={"path": "owner/letters", "mirror": str(folder)})
    assert task.source["dataset"] == "owner/letters" and task.name == "letters"
    assert task.identity == task_of(folder, letters).identity


def test_the_recipe_s_tokenizer_wins(folder: Path, letters: Path, tmp_path: Path) -> None:
    assert task_of(folder, tmp_path / "nowhere", tokenizer=str(letters)).identity == task_of(folder, letters).identity


def test_a_tokenizer_of_other_tokens_than_the_model_s_is_an_error(folder: Path, letters: Path, tmp_path: Path) -> None:
    """As a cased model's for an uncased one: the vocabularies are of one size."""
    other = write_tokenizer(tmp_path / "other") / "tokenizer.json"
    other.write_text(other.read_text().replace('"z"', '"Z"'))
    with pytest.raises(DataError, match=r"other has other tokens than the model's own, .*: leave it out"):
        task_of(folder, letters, tokenizer=str(other.parent))
    same = write_tokenizer(tmp_path / "same", limit=32)
    assert task_of(folder, letters, tokenizer=str(same)).identity == task_of(folder, letters).identity


def test_a_folder_without_a_tokenizer_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(DataError, match=r"has no vocabulary: give the folder of a model with its tokenizer\.json"):
        task_of(folder, tmp_path)


def test_text_without_a_tokenizer_is_an_error(folder: Path) -> None:
    config = FillMaskConfig.model_validate({"type": "fill-mask", "dataset": {"path": str(folder)}})
    with pytest.raises(DataError, match=r"task\.tokenizer is missing: fill-mask needs one"):
        create_task(config)


@pytest.mark.parametrize(
    ("made", "message"),
    [({"mask": False}, "has no mask token"), ({"pad": False}, "has no padding token"), ({"limit": 8}, "than the 8")],
)
def test_a_tokenizer_that_cannot_serve_is_an_error(
    made: dict[str, Any], message: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as error:
        task_of(folder, write_tokenizer(tmp_path / "tokenizer", **made))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "dataset", "message"),
    [
        ([{"text": " "}, {"text": ""}], {}, "column 'text' of split 'train' of .* is empty"),
        ([{"label": 1}], {}, "has no text column; its columns: label"),
        ([{"text": None}], {}, r"has no text column; its columns: text \(empty\)"),
        ([], {}, "split 'train' has no rows: .*data"),
        ([{"one": "a", "two": "b"}], {}, "has several text columns, one, two: say which with column"),
        ([{"text": "a"}], {"column": "body"}, r"has no text column 'body'; its columns: text \(text\)"),
        ([{"text": "a"}], {"test_split": "dev"}, "has no split 'dev'"),
        ([{"text": "a"}] * 3, {"validation": 3}, "validation: 3 takes all 3 training examples"),
        ([{"text": "a"}] * 3, {"examples": 4}, "examples: 4 is too many"),
    ],
)
def test_data_without_usable_text_is_an_error(
    rows: list[dict[str, Any]], dataset: dict[str, Any], message: str, tmp_path: Path, caches: Path, letters: Path
) -> None:
    data = write_data(tmp_path / "data", {"train": rows, "test": rows})
    with pytest.raises(DataError, match=message) as error:
        task_of(data, letters, dataset=dataset)
    assert "\n" not in str(error.value)


def test_a_model_that_does_not_fit_is_an_error(folder: Path, letters: Path) -> None:
    task = task_of(folder, letters)
    (batch,) = task.batches(4, 0, 0, 1, CPU)
    with pytest.raises(DataError, match="sequences of 16 tokens, but the model takes 15: lower it"):
        task.loss(bert(max_position_embeddings=15), batch)
    with pytest.raises(DataError, match=f"has {VOCABULARY} tokens, the model 30: give the model's own tokenizer"):
        task.evaluate(bert(vocab_size=30), "test", CPU)
    with pytest.raises(ModelError, match="LeNet300100 takes no text"):
        task.loss(create_model("lenet-300-100", seed=0), batch)


def test_positions_that_begin_after_padding_leave_fewer_tokens(folder: Path, letters: Path) -> None:
    """RoBERTa's and MPNet's first position is 2: of 17 there are 15 for tokens, and the longest text has 16."""
    task = task_of(folder, letters)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    for config in (RobertaConfig, MPNetConfig):
        for positions, fits in ((17, False), (18, True)):
            model = AutoModelForMaskedLM.from_config(
                config(vocab_size=VOCABULARY, max_position_embeddings=positions, pad_token_id=1, **sizes)
            )
            if fits:
                task.evaluate(model, "test", CPU)
            else:
                with pytest.raises(DataError, match="sequences of 16 tokens, but the model takes 15: lower it"):
                    task.evaluate(model, "test", CPU)
