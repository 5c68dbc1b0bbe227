"""The gallery in a real browser: filters, slider, copying, keyboard, phone, dark and printed, without a script."""

from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from ticketzoo.api.site import Site

Look = Callable[..., Any]

pytestmark = pytest.mark.slow


def shown(tab: Any) -> list[str]:
    """The names on the cards that are not hidden, in their order."""
    return [name.strip() for name in tab.locator(".card:visible h2").all_text_contents()]


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("task", "text-classification", {"other"}),
        ("verdict", "winning", {"lenet.digits-imp"}),
        ("finder", "one-shot", {"other"}),
        ("data", "somebody/texts", {"other"}),
        ("sparsity", "0.8", set()),
        ("sparsity", "0.5", {"lenet.digits-imp", "other", "bare", "<img src=x onerror=alert(1)>"}),
    ],
)
def test_a_filter_leaves_the_cards_that_have_it(look: Look, field: str, value: str, names: set[str]) -> None:
    tab = look()
    tab.select_option(f"select[name={field}]", value)
    assert set(shown(tab)) == names
    assert tab.inner_text("#count") == (f"{len(names)} of 4 tickets" if len(names) < 4 else "4 tickets")
    assert tab.is_visible("#none") == (not names)


def test_words_search_names_data_and_finders_and_all_of_them_must_fit(look: Look) -> None:
    tab = look()
    tab.fill("input[name=text]", "LENET one-shot")
    assert shown(tab) == ["other"]
    tab.fill("input[name=text]", "nowhere")
    tab.click("#none button")
    assert len(shown(tab)) == 4 and tab.input_value("input[name=text]") == ""


def test_filters_stand_in_the_address_and_come_back_with_it(look: Look, gallery: Site) -> None:
    tab = look()
    tab.select_option("select[name=verdict]", "matching")
    tab.fill("input[name=text]", "other")
    again = look()
    again.goto(tab.url)
    again.reload()  # the same page with another fragment is not loaded anew
    assert shown(again) == ["other"]
    assert again.input_value("select[name=verdict]") == "matching"


def test_order_by_name(look: Look) -> None:
    tab = look()
    assert shown(tab)[:2] == ["lenet.digits-imp", "other"]
    tab.select_option("select[name=order]", "name")
    assert shown(tab) == ["<img src=x onerror=alert(1)>", "bare", "lenet.digits-imp", "other"]
    tab.select_option("select[name=order]", "")
    assert shown(tab)[:2] == ["lenet.digits-imp", "other"]


def test_the_slider_moves_accuracy_size_verdict_and_the_line_to_copy_by_keyboard(look: Look) -> None:
    tab = look()
    card = tab.locator(".card").filter(has_text="lenet.digits-imp")
    before = card.locator(".here").get_attribute("cx")
    slider = card.locator("input[type=range]")
    slider.focus()
    tab.keyboard.press("ArrowRight")
    assert card.locator("output").inner_text() == "0.755"
    assert card.locator(".n-ticket").inner_text() == "90.00 ± 2.48"
    assert card.locator(".n-control").inner_text() == "not measured"
    assert card.locator(".n-label").inner_text() == "not matching"
    assert card.locator(".n-kept").inner_text() == "81"
    assert card.locator("code").inner_text() == 'load_ticket("lenet.digits-imp", level=2)'
    assert card.locator(".here").get_attribute("cx") != before
    assert slider.get_attribute("aria-valuetext") == "0.755, level 2"
    card.locator(".n-ticket").click()
    assert tab.locator(".group:target h2").inner_text() == "digits · level 2, sparsity 0.750 · ticket"


def test_the_line_is_copied(look: Look) -> None:
    tab = look(permissions=["clipboard-read", "clipboard-write"])
    card = tab.locator(".card").filter(has_text="lenet.digits-imp")
    card.locator("button").click()
    assert tab.evaluate("navigator.clipboard.readText()") == 'load_ticket("lenet.digits-imp", level=1)'
    assert "Copied" in tab.inner_text("#said")


def test_the_slider_of_a_tickets_page_moves_its_command_too(look: Look) -> None:
    tab = look("tickets/lenet.digits-imp/index.html")
    tab.locator("input[type=range]").focus()
    tab.keyboard.press("ArrowRight")
    assert "# level 2: sparsity 0.755" in tab.inner_text(".alone code")
    assert tab.inner_text("[data-again] code").endswith("--level 2")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_fits_its_window(look: Look, gallery: Site, width: int, scheme: str) -> None:
    """No page is wider than the screen, and its words stand out from what is behind them."""
    tab = look(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in sorted(gallery.index.parent.rglob("*.html")):
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
        ink, paper = tab.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor]"
        )
        assert contrast(ink, paper) > 7


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as browsers write them, by WCAG 2."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_keyboard_reaches_the_cards_and_sees_where_it_is(look: Look) -> None:
    tab = look()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    seen = []
    for _ in range(20):
        tab.keyboard.press("Tab")
        seen.append(
            tab.evaluate("[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]")
        )
    assert {"SUMMARY", "INPUT", "SELECT", "BUTTON", "A"} <= {name for name, _ in seen}
    assert {outline for _, outline in seen} == {"solid"}


@pytest.mark.slow
def test_every_control_has_a_name(look: Look, gallery: Site) -> None:
    tab = look()
    for path in sorted(gallery.index.parent.rglob("*.html")):
        tab.goto(path.as_uri())
        nameless = tab.evaluate(
            "[...document.querySelectorAll('input, select, button, summary, svg[role], nav, [role=region]')].filter("
            "one => !(one.labels?.length || one.ariaLabel || one.getAttribute('aria-labelledby')"
            " || one.textContent.trim())).map(one => one.outerHTML)"
        )
        assert nameless == [], path


def test_without_a_script_cards_are_whole_and_filters_are_not_there(look: Look) -> None:
    tab = look(java_script_enabled=False)
    assert len(shown(tab)) == 4
    assert not tab.is_visible("#filters") and not tab.is_visible(".copier >> nth=0")
    assert "91.00 ± 2.48" in tab.inner_text(".card >> nth=0")


def test_print_has_every_card_and_no_filters(look: Look) -> None:
    tab = look()
    tab.emulate_media(media="print")
    assert len(shown(tab)) == 4 and not tab.is_visible("#filters")
    assert tab.pdf()[:4] == b"%PDF"


@pytest.mark.slow
def test_texts_of_strangers_run_nowhere(look: Look, gallery: Site) -> None:
    """On every page, after every slider and filter was moved: `look` fails on any dialog, error or request."""
    tab = look()
    tab.fill("input[name=text]", "{{7*7}}")
    assert shown(tab) == ["<img src=x onerror=alert(1)>"]
    for path in sorted(gallery.index.parent.rglob("*.html")):
        tab.goto(path.as_uri())
        for slider in tab.locator("input[type=range]").all():
            slider.focus()
            tab.keyboard.press("ArrowRight")
        assert tab.evaluate("document.images.length") == 0


def test_it_works_from_a_server_as_well(look: Look, gallery: Site) -> None:
    handler = partial(Quiet, directory=str(gallery.index.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            asked: list[str] = []
            page = look().context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            here = f"http://127.0.0.1:{server.server_address[1]}/"
            page.goto(f"{here}index.html")
            page.select_option("select[name=verdict]", "winning")
            assert shown(page) == ["lenet.digits-imp"]
            assert asked and all(address.startswith((here, "data:")) for address in asked)
        finally:
            server.shutdown()
            thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
