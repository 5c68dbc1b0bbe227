"""Made registries and their galleries, and a real browser to look at them with."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_gallery import HOSTILE, OTHER, judged, row, rows, save
from toy_ticket import edit_config, forge

from ticketzoo.api.site import Site, site

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tickets: one carried to other data, one of another network and task, one without rows, and a hostile one."""
    folder = tmp_path_factory.mktemp("made") / "registry"
    carried = save(folder / "lenet.digits-imp", verdict=judged("winning"), results=rows() + rows(target=OTHER))
    recipe = f"name: to-letters\ntargets:\n- name: {OTHER}\n"
    edit_config(carried, lambda config: config.update(transfers=[recipe]))
    save(
        folder / "other",
        verdict=judged("matching"),
        task="text-classification",
        pruning={"method": "one-shot", "scope": "global", "rate": 0.5},
        source={"dataset": "somebody/texts"},
    )
    save(folder / "bare", results=[])
    hostile = save(folder / "<img src=x onerror=alert(1)>", source={"dataset": HOSTILE}, license=HOSTILE)
    changed = rows(target=HOSTILE) + [row(HOSTILE, 1, seed, 0.7, target=HOSTILE) for seed in range(3)]
    forge(hostile, "results.jsonl", "".join(json.dumps(one) + "\n" for one in changed).encode())
    return folder


@pytest.fixture(scope="module")
def gallery(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The gallery of `registry`."""
    return site(tmp_path_factory.mktemp("site") / "public", registry)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a browser: no chromium is installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Any, gallery: Site) -> Iterator[Callable[..., Any]]:
    """Open a page of the gallery. At the end nothing may have gone wrong in it, and no other host was asked."""
    wrong: list[str] = []
    asked: list[str] = []
    contexts = []

    def opened(page: str = "index.html", **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: wrong.append(dialog.message))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto((gallery.index.parent / page).as_uri() if "://" not in page else page)
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
    assert [address for address in asked if not address.startswith(("file://", "data:"))] == []
