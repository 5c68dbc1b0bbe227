"""The snippets of docs/bring-your-masks.md run as they are, and its table of exports says what comes back."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from test_exporters import TABLE
from torch import nn

from ticketzoo import check
from ticketzoo.bridges.formats import names
from ticketzoo.models import create_model

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bring-your-masks.md").read_text()


def snippet(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found
    code = found[1].strip()
    assert len(code.splitlines()) <= 7  # five beside an import and a blank line
    return code


def run(name: str, **given: Any) -> dict[str, Any]:
    exec(compile(snippet(name), name, "exec"), given)
    return given


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dict_of_masks(model: nn.Sequential) -> None:
    made = run("dict", model=model)
    assert torch.equal(made["ticket"].masks["0.weight"], model[0].weight.abs() > 0.1)
    assert (made["ticket"].kind, made["frozen"].kind) == ("zero", "frozen")


def test_torch_prune(model: nn.Sequential) -> None:
    assert run("prune", model=model)["ticket"].sparsity == 0.5


def test_a_sparse_fine_tune(model: nn.Sequential, here: Path) -> None:
    state = {name: one.detach() for name, one in model.state_dict().items()}
    for folder, change in (("base", 0.0), ("tuned", 0.5)):
        Path(folder).mkdir()
        save_file({name: one + change for name, one in state.items()}, f"{folder}/model.safetensors")
    assert run("diff", model=model)["ticket"].kind == "delta"
    assert torch.equal(model[0].weight, state["0.weight"])


def test_files_of_other_tools(model: nn.Sequential, here: Path) -> None:
    state = {name: one.detach() for name, one in model.state_dict().items()}
    torch.save({"0.weight": (state["0.weight"] > 0).int()}, "mask.pth")
    torch.save(state, "model_ep0_it0.pth")
    for folder in ("base", "adapter"):
        Path(folder).mkdir()
    save_file(state, "base/model.safetensors")
    places, value = torch.tensor([[1, 2], [3, 0]], dtype=torch.int32), torch.ones(2)
    adapter = {"base_model.model.0.shira_weight": value, "base_model.model.0.shira_indices": places}
    save_file(adapter, "adapter/adapter_model.safetensors")
    save_file({"0.weight.idx": torch.tensor([7, 8]), "0.weight.val": value}, "patch.safetensors")
    made = run("file")
    assert torch.equal(made["ticket"].masks["0.weight"], state["0.weight"] > 0)
    assert torch.equal(made["adapter"].masks["0.weight"], made["patch"].masks["0.weight"])


@pytest.mark.slow
def test_a_checkpoint_with_zeros(here: Path) -> None:
    from test_brought_llama import pruned

    pruned().save_pretrained("pruned-llama")
    made = run("zeros")
    assert made["ticket"].sparsity == pytest.approx(0.5)
    check(made["model"])


@pytest.mark.slow
def test_the_network_of_weights_alone(here: Path) -> None:
    model = create_model("torchvision/squeezenet1_1", seed=0)
    model.get_parameter("classifier.1.weight").data[:, ::2] = 0
    save_file(model.state_dict(), "pruned.safetensors")
    check(run("build")["model"])


def test_the_table_of_exports_is_what_the_tests_found() -> None:
    table = PAGE.split("<!-- exports -->\n")[1].split("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    told = {form.strip("`"): tuple(cells) for form, _, *cells in rows}
    assert told.pop("transformers") == told["state-dict"]  # shown by test_brought_llama
    assert told == {form: cells for form, cells in TABLE.items() if form not in ("trained", "transformers")}


def test_the_table_of_formats_has_each_of_them() -> None:
    table = PAGE.split("| `--format` |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", table, flags=re.MULTILINE)) == sorted(names())
