"""Time the filters of a gallery's first page in Chromium, and weigh the page: a ticket is shown many times over."""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ticketzoo.gallery.exhibit import Exhibit, exhibit_of
from ticketzoo.gallery.pages import HERE, STATIC, files_of
from ticketzoo.zoo.places import ticket_folders
from ticketzoo.zoo.summary import read_summary

QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")

FILTER = """async ([name, value]) => {
  const field = document.forms.filters.elements[name];
  const began = performance.now();
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.offsetHeight;
  const laidOut = performance.now() - began;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return [laidOut, performance.now() - began];
}"""
"""Sets a filter; gives the milliseconds until the page is laid out, and until it is painted."""

PATIENCE = 600_000
"""Milliseconds that a browser on a busy machine is waited for."""

TIMES = ("computed", "until_layout", "until_paint")
"""Times of a filter: of the main thread's own, of the clock until layout, and until paint."""

FIELDS = (
    *(("text", "i"), ("text", "imp"), ("text", "made-49"), ("text", ""), ("verdict", "winning"), ("verdict", "")),
    *(("finder", "imp"), ("sparsity", "0.95"), ("sparsity", ""), ("finder", ""), ("order", "name"), ("order", "")),
)


def main() -> None:
    """Make the page, filter it in turns, and print medians with quartiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--registry", default="registry", help="tickets that are shown many times over")
    parser.add_argument("--tickets", type=int, default=500, help="cards on the page")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every filter")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if options.tickets < 50:
        parser.error("--tickets is at least 50: a filter looks for the fiftieth")
    exhibits = many(options.registry, options.tickets)
    began = time.monotonic()
    name, content = next(files_of(exhibits, "Ticket zoo"))
    made = time.monotonic() - began
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(content)
        for file in STATIC:
            shutil.copy(HERE / "static" / file, folder)
        milliseconds = filtered(Path(folder, name), options.rounds)
        weight = sum(path.stat().st_size for path in Path(folder).iterdir())
    found = {
        "tickets": options.tickets,
        "bytes": weight,
        "seconds_to_make": round(made, 2),
        **{what: quartiles([one[place] for one in milliseconds]) for place, what in enumerate(TIMES)},
        "best_of_slowest": round(slowest_at_best(milliseconds), 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }
    print(json.dumps(found, indent=2) if options.json else in_words(found))


def many(registry: str, count: int) -> list[Exhibit]:
    """Return `count` tickets under names of their own, those of the registry again and again."""
    shown = [exhibit_of(read_summary(folder), ()) for folder in ticket_folders(registry)]
    again = (shown[number % len(shown)] for number in range(count))
    return [
        replace(one, slug=f"{one.slug}-{number}", summary=replace(one.summary, called=f"{one.title}-made-{number}"))
        for number, one in enumerate(again)
    ]


def slowest_at_best(milliseconds: list[list[float]]) -> float:
    """Return the milliseconds of the filter that takes longest, each at the best of its rounds, until it is painted."""
    return max(min(one[-1] for one in milliseconds[place :: len(FIELDS)]) for place in range(len(FIELDS)))


def filtered(page: Path, rounds: int) -> list[list[float]]:
    """Return milliseconds computed, until layout and until paint of every filter in every round; one warms up."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET, timeout=PATIENCE)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(PATIENCE)
        tab.goto(page.as_uri())
        inside = tab.context.new_cdp_session(tab)
        inside.send("Performance.enable", {"timeDomain": "threadTicks"})
        times = [[_one(tab, inside, list(field)) for field in FIELDS] for _ in range(rounds + 1)]
        browser.close()
    return [one for of_round in times[1:] for one in of_round]


def _one(tab: Any, inside: Any, field: list[str]) -> list[float]:
    before = _busy(inside)
    laid_out, painted = tab.evaluate(FILTER, field)
    return [_busy(inside) - before, laid_out, painted]


def _busy(inside: Any) -> float:
    """Return the milliseconds that the page's main thread has computed for: others' load does not count."""
    return next(
        1000 * one["value"] for one in inside.send("Performance.getMetrics")["metrics"] if one["name"] == "TaskDuration"
    )


def quartiles(values: list[float]) -> dict[str, float]:
    """Return the smallest, the median, the quartiles and the largest."""
    low, middle, high = statistics.quantiles(values, n=4)
    found = {"best": min(values), "median": middle, "q1": low, "q3": high, "most": max(values)}
    return {key: round(value, 1) for key, value in found.items()}


def in_words(found: dict[str, Any]) -> str:
    """Return the lines that are printed."""
    lines = [f"{found['tickets']} tickets: {found['bytes'] / 1e6:.2f} MB, made in {found['seconds_to_make']} s"]
    lines.append(f"the slowest filter, at the best of its rounds: painted after {found['best_of_slowest']} ms")
    for what in TIMES:
        one = found[what]
        spread = f"{one['median']} ms [{one['q1']}, {one['q3']}], at most {one['most']} ms"
        lines.append(f"a filter, {what.replace('_', ' ')}: {spread}")
    return "\n".join([*lines, found["machine"]])


if __name__ == "__main__":
    main()
