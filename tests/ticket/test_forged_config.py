"""A ticket.json that states what cannot be: one line that names the key. What it may state more is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import assert_refused, edit_config

from ticketzoo.errors import RegistryError
from ticketzoo.ticket import Ticket


def declare(path: str, value: object) -> Callable[[Path], None]:
    """Set one value of ticket.json, `path` like `levels/0/kept`."""

    def edit(config: Any) -> None:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        for part in parents:
            config = config[part]
        config[last] = value

    return lambda folder: edit_config(folder, edit)


FORGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "format of tomorrow": (
        declare("format", 3),
        "format 3 was made by a newer ticketzoo .this one reads up to 2.: upgrade",
    ),
    "no format": (declare("format", "1"), "not a ticket: it states no format number"),
    "a path for a name": (declare("name", "../../evil"), "name: String should match pattern"),
    "a path for a parameter": (
        declare("pruning/parameters/0/name", "../fc1"),
        r"pruning\.parameters\.0\.name: String should match pattern",
    ),
    "a path for a file": (
        declare("replicates/0/files", {"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}}),
        r"files of seed 7 must be seed-7/masks\.safetensors and seed-7/rewind\.safetensors",
    ),
    "another document": (
        declare("files", {"../README.md": {"bytes": 1, "sha256": "0" * 64}}),
        r"files\..*: Input should be 'recipe\.yaml' or 'results\.jsonl'",
    ),
    "a name of thousands of letters": (
        declare("files", {"a" * 5000: {"bytes": 1, "sha256": "0" * 64}}),
        r"ticket\.json: files\.a{94}: Input should be 'recipe\.yaml' or 'results\.jsonl'$",
    ),
    "a negative seed": (
        declare("replicates/0/seed", -1),
        r"replicates\.0\.seed: Input should be greater than or equal",
    ),
    "a seed that is text": (declare("replicates/0/seed", "../.."), r"replicates\.0\.seed: Input should be a valid int"),
    "a seed twice": (declare("replicates/0/seed", 3), "replicates: seed 3 appears twice"),
    "another seed": (declare("replicates/0/seed", 8), r"mask_sha256: \w{64}, but the replicates' digests give"),
    "a level twice": (declare("levels/1/level", 1), "levels: level 1 comes after level 1"),
    "levels out of order": (declare("levels/0/level", 3), "levels: level 2 comes after level 3"),
    "other sparsity": (
        declare("levels/0/sparsity", 0.2),
        "level 1 says sparsity 0.2, but 10 of 12 kept is 0.16666666666666666",
    ),
    "more kept": (declare("levels/1/kept", 11), "levels: level 2 keeps 11 weights, more than the 10 before"),
    "nothing kept": (
        declare("levels/2/kept", 0),
        r"levels\.2\.kept\..*: Input should be greater",
    ),
    "a parameter twice": (
        declare("pruning/parameters/1/name", "fc1.weight"),
        "pruning.parameters: name fc1.weight appears twice",
    ),
    "a shape of nothing": (declare("pruning/parameters/0/shape", [2, 0]), r"shape\.1: Input should be greater than"),
    "a shape beyond memory": (
        declare("pruning/parameters/0/shape", [2**30, 2**30]),
        "pruning.parameters: 1152921504606846978 weights, more than 1099511627776",
    ),
    "another shape": (declare("pruning/parameters/0/shape", [3, 5]), "but 10 of 17 kept is"),
    "a transposed shape": (
        declare("pruning/parameters/0/shape", [5, 2]),
        r"masks\.safetensors: the masks have digest \w{64}, but ticket\.json says",
    ),
    "no levels": (declare("levels", []), "levels: List should have at least 1 item"),
    "no replicates": (declare("replicates", []), "replicates: List should have at least 1 item"),
    "no rewind digest": (declare("replicates/0/rewind_sha256", None), "seed 7 must have rewind_sha256"),
    "an unknown rewind": (declare("rewind/kind", "pickle"), "rewind: Input tag 'pickle' .* does not match any of"),
    "winning on two seeds": (
        declare(
            "verdict",
            {
                "rule": "r",
                "metric": "m",
                "at": "final",
                "label": "winning",
                "levels": [
                    {"level": 1, "sparsity": 0.5, "target": "t", "label": "winning", "seeds": 2, "reason": "said so"}
                ],
            },
        ),
        r"verdict\.levels\.0: 'winning' needs at least 3 seeds, not 2",
    ),
    "winning without a level": (
        declare("verdict", {"rule": "r", "metric": "m", "at": "final", "label": "winning"}),
        "verdict: no level is 'winning'",
    ),
    "not JSON": (lambda f: (f / "ticket.json").write_bytes(b'{"format": 1'), "ticket.json: not valid JSON"),
    "not text": (lambda f: (f / "ticket.json").write_bytes(b"\xff\xfe\x00"), "ticket.json: not valid JSON"),
    "a list": (lambda f: (f / "ticket.json").write_bytes(b"[1]"), "not a ticket: it states no format number"),
    "a key twice": (lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "format": 1}'), "a key appears twice"),
    "NaN": (declare("levels/0/sparsity", float("nan")), "not valid JSON: NaN is not a number"),
    "a number beyond floats": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": 1e999}'),
        "number 1e999 is out of range",
    ),
    "half a surrogate pair": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": "\\ud800"}'),
        "surrogates not allowed",
    ),
    "deep nesting": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
        "ticket.json: not valid JSON",
    ),
    "nesting": (
        lambda f: (f / "ticket.json").write_bytes(b'{"format": 1, "x": ' + b"[" * 200 + b"]" * 200 + b"}"),
        "nested more than 64 deep",
    ),
    "too much": (
        lambda f: (f / "ticket.json").write_bytes(b" " * (2**24 + 1)),
        "more than 16777216 bytes, too much for a ticket",
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_config_is_refused(folder: Path, kind: str) -> None:
    forgery, message = FORGED[kind]
    forgery(folder)
    assert_refused(folder, message)


def test_unknown_keys_are_kept_and_not_acted_on(folder: Path, tmp_path: Path) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["x_new"] = {"command": "rm -rf /"}
        config["source"]["split"] = "train"
        config["levels"][0]["note"] = 1.5

    edit_config(folder, edit)
    again = Ticket.from_pretrained(folder).save_pretrained(tmp_path / "again")
    config = json.loads((again / "ticket.json").read_text())
    assert config["x_new"] == {"command": "rm -rf /"}
    assert config["source"] == {"dataset": "numbers", "revision": None, "fingerprint": None, "split": "train"}
    assert config["levels"][0] == {"level": 1, "sparsity": 2 / 12, "kept": 10, "note": 1.5}


def test_masks_load_without_the_weights_they_refer_to(folder: Path) -> None:
    def edit(config: dict[str, Any]) -> None:
        base = {"repo_id": "google-bert/bert-base-uncased", "revision": "0" * 40, "sha256": "0" * 64}
        config["rewind"] = {"kind": "base", "step": 0, **base}
        for replicate in config["replicates"]:
            replicate["rewind_sha256"] = None
            del replicate["files"][f"seed-{replicate['seed']}/rewind.safetensors"]

    edit_config(folder, edit)
    ticket = Ticket.from_pretrained(folder, level=4, local_files_only=True)
    assert ticket.masks["fc2.weight"].tolist() == [[False, True]]
    with pytest.raises(RegistryError, match=r"google-bert/bert-base-uncased@0{40}: not in the cache"):
        _ = ticket.rewind_state
