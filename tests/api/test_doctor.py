"""`ticketzoo doctor`: what it shows, and what it must not."""

import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import ticketzoo
from ticketzoo.api.doctor import diagnose
from ticketzoo.cli.main import app
from ticketzoo.watching.loggers import LOGGERS

SECRET = "hf_abcdefghijklmnopqrstuvwxyz"


def test_versions_folders_and_tickets_are_told_and_the_token_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "kept" / "there"))
    (tmp_path / "runs" / "mine" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "one" / "ticket.json").touch()
    found = diagnose(ask_hub=False)
    assert found["packages"]["ticketzoo"] == ticketzoo.__version__
    assert found["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert found["folders"]["cache"].startswith(f"{tmp_path / 'kept' / 'there'}, not there yet, ")
    assert found["hub"]["token"] == "there" and found["hub"]["answers"] == "not asked"
    assert found["tickets"]["runs"] == "1 ticket"
    assert SECRET not in json.dumps(found)


def test_loggers_are_told_with_their_versions_or_how_to_install_them() -> None:
    told = diagnose(ask_hub=False)["loggers"]
    assert list(told) == list(LOGGERS) and told["csv"] == "comes with ticketzoo"
    for name in set(told) - {"csv"}:
        missing = find_spec(name) is None
        assert told[name] == (f"not installed: pip install 'ticketzoo[{name}]'" if missing else version(name))


def test_a_hub_that_does_not_answer_is_a_line_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is one at which nothing listens."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert diagnose()["hub"]["answers"].startswith("NO: the Hub: ")


def test_the_command_prints_one_document_with_json() -> None:
    done = CliRunner().invoke(app, ["doctor", "--offline", "--json"])
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)) == {"system", "packages", "loggers", "devices", "folders", "hub", "tickets"}
