"""Parameters that a mask covers beside the weights of linear and convolution layers, by name."""

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from ticketzoo.errors import ModelError
from ticketzoo.masks.attach import attach
from ticketzoo.models import inputs_first, model_state, prunable_parameters
from ticketzoo.ticket.fit import fit


class Tagger(nn.Module):
    """A recurrent network whose decoder is its embedding."""

    def __init__(self, *, decoder_first: bool = False, cell: type[nn.LSTM | nn.GRU] = nn.LSTM) -> None:
        super().__init__()
        embedding, decoder = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
        if decoder_first:
            self.decoder, self.embedding = decoder, embedding
        else:
            self.embedding, self.decoder = embedding, decoder
        self.decoder.weight = self.embedding.weight
        self.rnn = cell(4, 4, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.out = nn.Linear(4, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.decoder(self.out(self.norm(self.rnn(self.embedding(tokens))[0])))
        return scores


def gpt2() -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0, attn_pdrop=0.0
    )
    return GPT2LMHeadModel(config)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_recurrent_weights(cell: type[nn.LSTM | nn.GRU]) -> None:
    model = Tagger(cell=cell)
    assert list(prunable_parameters(model)) == ["out.weight"]
    both = ["rnn.weight_ih_l0", "rnn.weight_hh_l0"]
    assert list(prunable_parameters(model, include=["rnn.weight_*"])) == [*both, "out.weight"]
    assert list(prunable_parameters(model, include=["rnn.weight_*"], exclude=["out", "*_hh_*"])) == both[:1]


def test_biases_and_normalisation() -> None:
    biases = ["rnn.bias_ih_l0", "rnn.bias_hh_l0", "norm.bias", "out.bias"]
    assert list(prunable_parameters(Tagger(), include=["*.bias*"], exclude=["out"])) == biases
    assert list(prunable_parameters(Tagger(), include=["norm"])) == ["norm.weight", "out.weight"]


@pytest.mark.parametrize("pattern", ["embedding", "decoder", "*.weight", "embedding.weight", "decoder.weight"])
@pytest.mark.parametrize("decoder_first", [False, True])
def test_tied_weights_count_once_by_any_of_their_names(pattern: str, decoder_first: bool) -> None:
    model = Tagger(decoder_first=decoder_first)
    first = "decoder.weight" if decoder_first else "embedding.weight"
    names = prunable_parameters(model, include=[pattern])
    assert {"embedding.weight", "decoder.weight"} & names.keys() == {first}
    assert first in model_state(model)
    assert first not in prunable_parameters(model, include=["*"], exclude=[pattern])


def test_gpt_2_by_its_own_convolutions() -> None:
    model = gpt2()
    block = "transformer.h.0"
    layers = [f"{block}.{name}.weight" for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")]
    assert list(prunable_parameters(model)) == layers
    assert list(prunable_parameters(model, include=["*.c_attn", "*.c_fc", "*.c_proj"])) == layers
    assert inputs_first(model) == set(layers)
    for pattern in ("lm_head", "*wte*", "lm_head.weight"):
        assert list(prunable_parameters(model, include=[pattern])) == ["transformer.wte.weight", *layers]


def test_a_pattern_that_matches_nothing_lists_names() -> None:
    with pytest.raises(
        ModelError, match=r"^include: 'lstm\.\*' matches no parameter .*: embedding\.weight, .*out.bias"
    ):
        prunable_parameters(Tagger(), include=["out", "lstm.*"])
    with pytest.raises(ModelError, match=r"^exclude: 'x' matches .*, ln9\.bias, \.\.\. \(50 in all\)$") as error:
        layers = nn.ModuleDict({f"ln{number}": nn.LayerNorm(2) for number in range(25)})
        prunable_parameters(layers, exclude=["x"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["tagger", "gpt2"])
def test_masks_on_everything_hold_through_training(name: str) -> None:
    torch.manual_seed(0)
    model: nn.Module = Tagger() if name == "tagger" else gpt2()
    masks = {key: torch.rand(one.shape) < 0.6 for key, one in prunable_parameters(model, include=["*"]).items()}
    assert len(masks) == sum(1 for _ in model.parameters())
    attach(model, masks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    before = {key: value.clone() for key, value in model_state(model).items()}
    tokens = torch.arange(4)[None]
    for _ in range(3):
        output = model(tokens)
        scores = output if isinstance(output, Tensor) else output.logits
        nn.functional.cross_entropy(scores[0], tokens[0].flip(0)).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = model_state(model)
    for key, mask in masks.items():
        assert not after[key][~mask].any()
    assert sum(not torch.equal(before[key], after[key]) for key in masks) >= len(masks) - 1


def test_a_layer_can_do_without_its_bias() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    fit(model, {"0.bias": torch.zeros(3, dtype=torch.bool)}, ticket="a ticket")
    assert not model[0].bias.any()
