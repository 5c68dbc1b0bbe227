"""Every command in docs/hub.md runs, in the order it stands there, against the local server."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from hub_server.fixtures import LocalHub
from toy_zoo import ROWS, make_ticket
from typer.testing import CliRunner

from ticketzoo.cli.main import app
from ticketzoo.evaluation.evidence import ticket_card

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "hub.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", TEXT, flags=re.DOTALL)


def test_every_block_is_a_command_or_python() -> None:
    assert re.findall(r"```(\w+)", TEXT) == [language for language, _ in BLOCKS]
    assert len([language for language, _ in BLOCKS if language == "sh"]) >= 3


@pytest.mark.slow
def test_the_commands_run_as_shown(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKETZOO_REGISTRY", raising=False)
    hub.login("alice")
    name = "lenet-300-100.mnist-imp"
    ticket = make_ticket(name=name, results=[row | {"ticket": name} for row in ROWS])
    card = ticket_card(ticket.config, ticket.results).encode()
    ticket.save_pretrained(tmp_path / "registry" / ticket.name, extras={"README.md": card})
    for language, block in BLOCKS:
        if language == "python":
            exec(block, {})
            continue
        for line in block.splitlines():
            words = shlex.split(line)
            offline = words[0] == "HF_HUB_OFFLINE=1"
            command = words[words.index("ticketzoo") + 1 :]
            if offline:
                done = hub.run(
                    sys.executable, "-m", "ticketzoo", *command, **cache(), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1"
                )
                assert done.returncode == 0, (line, done.stderr)
                continue
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, (line, result.output, result.exception)
    assert "alice/secret-ticket" in {repo.id for repo in hub.store.repos.values() if repo.private}
    assert (tmp_path / "copy" / "ticket.json").is_file()
    assert len(hub.repo("alice/lenet-300-100.mnist-imp").commits()) == 2


def cache() -> dict[str, str]:
    from huggingface_hub import constants

    return {"HF_HUB_CACHE": constants.HF_HUB_CACHE}
