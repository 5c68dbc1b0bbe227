import tomllib
from pathlib import Path

from ticketzoo.zoo.verify import verify_ticket

ROOT = Path(__file__).resolve().parents[2]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]


def test_a_wheel_brings_a_ticket_that_needs_no_download() -> None:
    """The files are mapped when it is built, from the one place where they are; a wheel may come of an sdist."""
    mapped: dict[str, str] = BUILD["wheel"]["force-include"]
    assert all((ROOT / source).exists() for source in mapped)
    tickets = [source for source in mapped if source.startswith("registry/")]
    assert tickets
    for source in tickets:
        assert mapped[source] == f"ticketzoo/shipped/{source}"
        assert f"/{source}" in BUILD["sdist"]["include"]
        assert verify_ticket(ROOT / source)
    size = sum(path.stat().st_size for source in tickets for path in (ROOT / source).rglob("*") if path.is_file())
    assert size < 5_000_000
