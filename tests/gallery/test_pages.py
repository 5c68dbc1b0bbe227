"""The pages: their numbers, links and words, and texts of strangers in them."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from made_gallery import HOSTILE, OTHER, SOURCE, row, rows, save
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from toy_ticket import edit_config

from ticketzoo.api.site import Site
from ticketzoo.evaluation.arms import ARMS, DENSE, TICKET
from ticketzoo.gallery.exhibit import exhibit_of
from ticketzoo.gallery.pages import HERE, STATIC, files_of
from ticketzoo.gallery.svg import arm_class, marks
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.zoo.summary import read_summary

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """The links, ids, elements and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        self.links += [value for key, value in attrs if key in ("href", "src") and value is not None]
        self.ids += [value for key, value in attrs if key == "id" and value is not None]

    def handle_data(self, data: str) -> None:
        self.words += f"{data} "


def page(gallery: Site, name: str) -> Page:
    return Page((gallery.index.parent / name).read_text())


def pages(gallery: Site) -> dict[str, Page]:
    folder = gallery.index.parent
    return {path.relative_to(folder).as_posix(): Page(path.read_text()) for path in folder.rglob("*.html")}


def test_every_link_leads_to_a_file_and_a_place_that_are_there(gallery: Site) -> None:
    folder, all_pages = gallery.index.parent, pages(gallery)
    checked = 0
    for name, one in all_pages.items():
        for link in one.links:
            if link == "data:,":
                continue
            path, _, place = link.partition("#")
            target = (folder / name).parent / unquote(path) if path else folder / name
            assert target.is_file(), (name, link)
            assert target.resolve().is_relative_to(folder.resolve())
            if place and target.suffix == ".html":
                assert place in all_pages[target.resolve().relative_to(folder.resolve()).as_posix()].ids, (name, link)
            checked += 1
    assert checked > 100


def test_arms_of_one_plot_differ_in_colour_or_mark() -> None:
    arms = [TICKET, *(name for name in ARMS if name not in (TICKET, DENSE))][: 1 + 20]
    looks = {(arm_class(arm).lstrip("c").zfill(2)[-1], shape(arm)) for arm in arms}
    assert len(looks) == len(arms)


def shape(arm: str) -> str:
    """The steps between the corners of an arm's mark."""
    return re.sub(r'class="[^"]*"', "", marks(arm_class(arm), [(0, 0)]))


def test_no_id_is_there_twice(gallery: Site) -> None:
    for name, one in pages(gallery).items():
        assert len(one.ids) == len(set(one.ids)), name


def test_a_number_leads_to_its_lines_and_to_the_command_that_measures_it_again(gallery: Site) -> None:
    text = (gallery.index.parent / "tickets/lenet.digits-imp/rows.html").read_text()
    groups = text.split('<section class="group"')[1:]
    level_2 = next(one for one in groups if f"{SOURCE} · level 2" in one)
    assert "<b>90.00 ± 2.48</b>" in level_2  # 89, 90, 91: 4.3027 x 1 / sqrt(3) = 2.48
    assert "−1.00 [−1.00, −1.00] to dense" in level_2  # noqa: RUF001
    assert re.findall(r'id="L(\d+)"', level_2) == ["7", "8", "9"]
    assert "ticketzoo reproduce lenet.digits-imp --level 2 --arm ticket<" in level_2
    elsewhere = next(one for one in groups if f"{OTHER} · level 2" in one)
    assert re.findall(r'id="L(\d+)"', elsewhere) == ["19", "20", "21"]
    assert "ticketzoo transfer transfer-1.yaml<" in elsewhere
    lines = (gallery.index.parent / "tickets/lenet.digits-imp/results.jsonl").read_text().splitlines()
    assert [json.loads(lines[number - 1])["value"] for number in (7, 8, 9)] == [0.89, 0.90, 0.91]


def test_a_card_without_a_script_says_all_of_its_level(gallery: Site) -> None:
    text = (gallery.index.parent / "index.html").read_text()
    card = next(one for one in text.split('<li class="card"')[1:] if "lenet.digits-imp" in one)
    words = " ".join(Page(f"<li {card}").words.split())
    assert (
        "winning at 0.500" in words and "accuracy 91.00 ± 2.48" in words and "best control 80.00 random mask" in words
    )
    assert 'load_ticket("lenet.digits-imp", level=1)' in words
    assert "of 324" in words or "weights kept" in words


def test_a_ticket_without_rows_is_shown_as_not_measured(gallery: Site) -> None:
    card = next(
        one for one in (gallery.index.parent / "index.html").read_text().split('<li class="card"') if "bare" in one
    )
    assert "not measured" in card and '<svg class="spark"' not in card


def test_the_matrix_has_sources_by_targets_with_intervals(gallery: Site) -> None:
    matrix = page(gallery, "transfer.html")
    assert "on digits" in matrix.words and "on letters" in matrix.words
    assert "−1.00 [−1.00, −1.00]" in matrix.words  # noqa: RUF001


def test_the_board_has_the_sparsest_good_level_first(gallery: Site) -> None:
    words = page(gallery, "finders.html").words
    assert "0.5 to 0.8" in words and re.search(r"lenet\.digits-imp\s*imp · 3 seeds\s*91\.00 ± 2\.48\s*0\.500", words)


def test_texts_of_strangers_stay_texts(gallery: Site) -> None:
    """No element comes of them, no attribute, and no name of a file."""
    for name, one in pages(gallery).items():
        assert {tag for tag, _ in one.elements} & {"img", "iframe", "object", "embed", "base"} == set(), name
        handlers = [key for _, given in one.elements for key in given if key.startswith("on")]
        assert handlers == [], name
        scripts = [given for tag, given in one.elements if tag == "script"]
        assert [given for given in scripts if "src" not in given and given.get("type") != "application/json"] == []
    assert any(HOSTILE in one.words for one in pages(gallery).values())
    assert "49" not in page(gallery, "index.html").words.replace("0.49", "")
    for path in gallery.index.parent.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name), path


def test_a_ticket_of_a_part_of_the_data_is_not_said_to_be_of_all(tmp_path: Path) -> None:
    recipe = "name: half\ntask:\n  dataset:\n    part: {fold: 1, of: 2}\n"
    half = exhibit_of(read_summary(save(tmp_path / "half", recipe_text=recipe)), ())
    whole = exhibit_of(read_summary(save(tmp_path / "whole")), ())
    assert half.data == f"{whole.data}, fold 1 of 2"


def test_no_file_beside_the_pages_begins_as_a_page_does(tmp_path: Path) -> None:
    """A recipe may, as YAML: a server that does not say what it is would have it run."""
    recipe = "\n<script>alert(1)</script>: 1\n"
    ticket = save(tmp_path / "ticket", recipe_text=recipe)
    edit_config(ticket, lambda config: config.update(transfers=[recipe]))
    written = dict(files_of([exhibit_of(read_summary(ticket), ())], "Zoo"))
    for name in ("recipe.yaml", "transfer-1.yaml"):
        content = written[f"tickets/ticket/{name}"].decode()
        assert content.startswith("# ") and parse_yaml(content, most=10) == parse_yaml(recipe, most=10)


def test_the_same_tickets_give_the_same_bytes(registry: Path, gallery: Site) -> None:
    exhibit = exhibit_of(read_summary(registry / "lenet.digits-imp"), ())
    assert dict(files_of([exhibit], "Zoo")) == dict(files_of([exhibit], "Zoo"))


@pytest.mark.parametrize("other", ["a.b", "A.B"])
def test_names_that_a_file_system_takes_for_one_have_folders_of_their_own(registry: Path, other: str) -> None:
    summary = replace(read_summary(registry / "bare"), called=other)
    assert exhibit_of(summary, {"a.b"}).slug == "a.b--2"


def test_five_hundred_tickets_are_less_than_two_megabytes() -> None:
    one = exhibit_of(read_summary(ROOT / "registry" / "lenet-300-100.mnist-imp"), ())
    many = [replace(one, slug=f"{one.slug}-{n}", summary=replace(one.summary, called=f"made-{n}")) for n in range(500)]
    name, content = next(files_of(many, "Zoo"))
    assert name == "index.html" and content.count(b'<li class="card"') == 500
    assert len(content) + sum(len((HERE / "static" / file).read_bytes()) for file in STATIC) < 2 * 10**6


def drawn(folder: Path, digest: str) -> None:
    """Put a picture of 30 x 20 pixels beside a ticket that says it was drawn of masks with this digest."""
    said = PngInfo()
    said.add_text("Rows", digest)
    Image.new("RGB", (30, 20)).save(folder / "masks.png", pnginfo=said)


def test_the_picture_of_the_masks_is_shown_where_it_says_that_it_is_of_them(tmp_path: Path) -> None:
    folder = save(tmp_path / "one")
    digest = read_summary(folder).config.mask_sha256
    for told, shown in ((digest, True), ("0" * 64, False)):
        drawn(folder, told)
        files = dict(files_of([exhibit_of(read_summary(folder), ())], "Zoo"))
        images = [given for tag, given in Page(files["tickets/one/index.html"].decode()).elements if tag == "img"]
        assert [(one["src"], one["width"], one["height"]) for one in images] == [("masks.png", "30", "20")] * shown
        assert files.get("tickets/one/masks.png") == ((folder / "masks.png").read_bytes() if shown else None)
    (folder / "masks.png").write_bytes(b"no picture")
    assert "tickets/one/masks.png" not in dict(files_of([exhibit_of(read_summary(folder), ())], "Zoo"))


def test_a_zero_has_no_sign(tmp_path: Path) -> None:
    """The ticket is a thousandth of a point below dense on each seed."""
    near = [one for one in rows() if one["arm"] == "dense"]
    near += [row("ticket", 1, one["seed"], one["value"] - 1e-5) for one in near]
    files = dict(files_of([exhibit_of(read_summary(save(tmp_path / "one", results=near)), ())], "Zoo"))
    assert "0.00 [0.00, 0.00]" in Page(files["tickets/one/index.html"].decode()).words
    assert not re.search(r"[+\u2212-]0\.00\b", Page(files["tickets/one/index.html"].decode()).words)


def test_a_ticket_made_from_others_names_no_finder(tmp_path: Path) -> None:
    parent = {"name": "a", "mask_sha256": "0" * 64}
    made = {"method": "stretch", "parents": [parent], "arguments": {}}
    one = exhibit_of(read_summary(save(tmp_path / "one", derived=made, recipe_text=None)), ())
    assert one.finder == "made by stretch, not found"
