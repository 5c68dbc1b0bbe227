"""A machine without a network: said at once, with what to do instead."""

import socket
from pathlib import Path

import pytest
from hub_server.fixtures import LocalHub
from huggingface_hub.utils import httpx
from text_folders import LETTERS

from ticketzoo.errors import RegistryError
from ticketzoo.finding import FindRecipe
from ticketzoo.finding.start import load_task
from ticketzoo.hub.calls import call_hub
from ticketzoo.recipe import parse_recipe


@pytest.mark.parametrize(("number", "asked"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, 2), (None, 4)])
def test_a_server_whose_name_is_not_found_is_asked_once_or_twice(number: int | None, asked: int) -> None:
    calls = []

    def ask() -> None:
        calls.append(1)
        cause = ConnectionResetError("reset") if number is None else socket.gaierror(number, "Name not known")
        raise httpx.ConnectError(str(cause)) from cause

    with pytest.raises(RegistryError, match=r"^here: the connection failed"):
        call_hub(ask, "here")
    assert len(calls) == asked


def test_a_model_that_cannot_be_fetched_may_be_a_folder(hub: LocalHub, tmp_path: Path) -> None:
    rows = [f"x {letter},{number % 2}" for number, letter in enumerate(LETTERS)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]))
    dataset = {"path": str(tmp_path)}
    content = {
        "name": "a.b-imp",
        "model": "transformers/owner/name",
        "task": {"type": "text-classification", "dataset": dataset},
    }
    recipe = parse_recipe(content, FindRecipe, "here")
    with hub.down(), pytest.raises(RegistryError, match=r"connection failed .* or --set model=transformers/\./FOLDER"):
        load_task(recipe.task, recipe.model)
