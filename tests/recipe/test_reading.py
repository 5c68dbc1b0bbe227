from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import Field

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import Config, Steps, dump_recipe, parse_recipe, read_recipe, short_recipe


class Oven(Config):
    kind: Literal["wood", "gas"] = "wood"
    heat: Annotated[float, Field(gt=0, lt=1)] = 0.5
    share: int | float = 1


class Cream(Config):
    type: Literal["cream"]
    fat: float = 0.3


class Jam(Config):
    type: Literal["jam"]
    fruit: Oven | None = None


class Cake(Config):
    title: str
    oven: Oven = Oven()
    baking: Steps = Steps(2, "ep")
    layers: tuple[int, ...] = (1, 2)
    extras: tuple[Oven, ...] = ()
    note: str | None = None
    filling: Annotated[Cream | Jam | None, Field(discriminator="type")] = None


def read(folder: Path, text: str, *overrides: str) -> Cake:
    path = folder / "cake.yaml"
    path.write_text(text)
    return read_recipe(path, Cake, list(overrides))


def error(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read(folder, text, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_a_recipe_is_its_keys_and_the_defaults(tmp_path: Path) -> None:
    cake = read(tmp_path, "title: plum\noven: {heat: 0.7}\nbaking: 500it\n")
    assert cake == Cake(title="plum", oven=Oven(kind="wood", heat=0.7), baking=Steps(500, "it"), layers=(1, 2))


def test_a_number_with_an_exponent_but_no_point_is_a_number(tmp_path: Path) -> None:
    assert read(tmp_path, "title: plum\noven: {heat: 1e-3}\n").oven.heat == 0.001  # a text to YAML 1.1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: plum\novven: {}\n", "unknown key 'ovven', did you mean 'oven'?"),
        ("title: plum\noven: {haet: 0.5}\n", "unknown key 'oven.haet', did you mean 'heat'?"),
        ("title: plum\nextras: [{heat: 0.5}, {knd: gas}]\n", "unknown key 'extras.1.knd', did you mean 'kind'?"),
        ("title: plum\noven: {zzz: 1}\n", "unknown key 'oven.zzz'; known: heat, kind, share"),
        ("{}", "key 'title' is missing"),
        ("title: plum\nfilling: {type: jam, fat: 0.5}\n", "unknown key 'filling.fat'; known: fruit, type"),
        (
            "title: plum\nfilling: {type: jam, fruit: {haet: 1}}\n",
            "unknown key 'filling.fruit.haet', did you",
        ),
        ("title: plum\nfilling: {type: cream, fat: much}\n", "filling.fat: input should be a valid number"),
        ("title: plum\nfilling: {type: craem}\n", "filling.type: unknown 'craem', did you mean 'cream'?"),
        ("title: plum\nfilling: {type: nuts}\n", "filling.type: unknown 'nuts'; known: cream, jam"),
        ("title: plum\nfilling: {fat: 0.5}\n", "key 'filling.type' is missing"),
        ("title: plum\noven: {heat: 1.5}\n", "oven.heat: input should be less than 1 (got 1.5)"),
        ("title: plum\noven: {heat: .inf}\n", "oven.heat: input should be a finite number (got inf)"),
        ("title: plum\noven: {heat: .nan}\n", "oven.heat: input should be a finite number (got nan)"),
        ("title: plum\noven: {heat: hot}\n", "unable to parse string as a number (got 'hot')"),
        ("title: plum\noven: {share: all}\n", "oven.share: input should be a valid integer"),
        ("title: plum\noven: {kind: coal}\n", "oven.kind: input should be 'wood' or 'gas' (got 'coal')"),
        ("title: plum\noven: hot\n", "oven: write keys and values, one a line (got 'hot')"),
        ("title: plum\nlayers: 3\n", "layers: write a list, such as [a, b] (got 3)"),
        ("title: plum\nlayers: [1, two]\n", "layers.1: input should be a valid integer"),
        ("title: plum\nbaking: 5\n", "baking: write iterations as '500it' or epochs as '2ep', not 5"),
        ("title: [a, b]\n", "title: input should be a valid string"),
        ("title: " + "plum" * 100 + "\noven: {kind: " + "coal" * 1000 + "}\n", "(4002 characters))"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    message = error(tmp_path, text)
    assert message.startswith(f"recipe {tmp_path / 'cake.yaml'}: ")
    assert said in message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    message = error(tmp_path, "oven: {heat: 2, haet: 1}\n")
    assert "'title' is missing" in message
    assert "less than 1" in message
    assert "did you mean 'heat'" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping"),
        ("- title\n", "must be a mapping"),
        ("title", "must be a mapping"),
        ("title: [plum\n", "not readable as YAML"),
        ("title: a\ntitle: b\n", "key 'title' is given twice, in line 1 and line 2"),
        ("title: a\noven:\n  heat: 0.1\n  kind: gas\n  heat: 0.2\n", "key 'heat' is given twice, in line 3 and line 5"),
        ("title: !!python/object/apply:os.getcwd []\n", "not readable as YAML: could not determine a constructor"),
        ("title: 2020-13-45\n", "month must be in 1..12"),
        ("title: !!bool maybe\n", "a value is not what its tag"),
        ("title: !!timestamp plum\n", "a value is not what its tag"),
        ("layers: !!int ''\n", "a value is not what its tag"),
        ("layers: [" + "9" * 5000 + "]\n", "Exceeds the limit"),
        ("layers: &all [*all]\n", "line 1: the value contains itself"),
        ("[" * 2000, "nested too deeply"),
        ("title: \x00\n", "special characters are not allowed"),
        ("1: 2\ntitle: plum\n", "1: keys should be strings"),
    ],
)
def test_what_is_no_recipe_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in error(tmp_path, text)


def test_a_file_that_is_not_text_or_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "cake.yaml").write_bytes(b"title: \xff\xfe\n")
    for path, said in [("cake.yaml", "can't decode byte"), ("none.yaml", "No such file"), (".", "Is a directory")]:
        with pytest.raises(RecipeError, match=said):
            read_recipe(tmp_path / path, Cake)


def test_aliases_repeat_a_value_but_cannot_explode(tmp_path: Path) -> None:
    assert read(tmp_path, "title: plum\noven: &hot {heat: 0.9}\nextras: [*hot, *hot]\n").extras == (Oven(heat=0.9),) * 2
    lines = ["layers0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"layers{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]  # 10^30 values
    assert "line 5: more than 100,000 values" in error(tmp_path, "\n".join(lines))


def test_an_override_of_an_aliased_value_changes_that_one_alone(tmp_path: Path) -> None:
    cake = read(tmp_path, "title: plum\noven: &hot {heat: 0.9}\nextras: [*hot, *hot]\n", "extras.0.heat=0.1")
    assert [oven.heat for oven in (cake.oven, *cake.extras)] == [0.9, 0.1, 0.9]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("title=pear", {"title": "pear"}),
        ("oven.heat=0.25", {"oven": Oven(kind="gas", heat=0.25)}),
        ("oven={heat: 0.25}", {"oven": Oven(heat=0.25)}),
        ("baking=1ep", {"baking": Steps(1, "ep")}),
        ("layers=[7, 8]", {"layers": (7, 8)}),
        ("layers.1=9", {"layers": (4, 9)}),
        ("extras.0.kind=gas", {"extras": (Oven(kind="gas"),)}),
        ("note=null", {"note": None}),
        ("note=", {"note": None}),
        ("note=a=b", {"note": "a=b"}),
    ],
)
def test_overrides_reach_every_key(tmp_path: Path, override: str, expected: dict[str, object]) -> None:
    text = "title: plum\noven: {kind: gas}\nlayers: [4, 5]\nextras: [{}]\nnote: old\n"
    assert read(tmp_path, text, override) == read(tmp_path, text).model_copy(update=expected)


def test_overrides_apply_in_order_and_may_open_a_new_section(tmp_path: Path) -> None:
    assert read(tmp_path, "title: plum\n", "oven.heat=0.1", "oven.kind=gas", "oven.heat=0.2").oven == Oven(
        kind="gas", heat=0.2
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("title", "write key=value"),
        ("=plum", "write key=value"),
        ("oven.heat=[", "not readable as YAML"),
        ("oven={heat: 0.1, heat: 0.2}", "not readable as YAML"),
        ("layers.2=1", "'2' must be a position from 0 to 1 in the list"),
        ("layers.-1=1", "'-1' must be a position"),
        ("layers.last=1", "'last' must be a position"),
        ("layers.0.deep=1", "'deep' is inside a value that has no keys"),
        ("ovne.heat=0.1", "unknown key 'ovne', did you mean 'oven'?"),
        ("oven.heat=1.5", "oven.heat: input should be less than 1"),
        ("title=null", "title: input should be a valid string"),
    ],
)
def test_a_wrong_override_is_said_in_one_line(tmp_path: Path, override: str, said: str) -> None:
    assert said in error(tmp_path, "title: plum\nlayers: [4, 5]\n", override)


def test_a_dump_shows_every_default_and_reads_back_equal(tmp_path: Path) -> None:
    cake = Cake(title="on", baking=Steps(0.5, "ep"), extras=(Oven(heat=1e-9),), note="a: b # c\n'\"\\ é \u202e")
    text = dump_recipe(cake)
    assert yaml.safe_load(text)["oven"] == {"kind": "wood", "heat": 0.5, "share": 1}
    assert "baking: 0.5ep" in text
    assert read(tmp_path, text) == cake


def test_a_mapping_that_is_in_hand_is_checked_the_same(tmp_path: Path) -> None:
    assert parse_recipe({"title": "plum"}, Cake, "here") == Cake(title="plum")
    with pytest.raises(RecipeError, match="recipe here: unknown key 'titel', did you mean 'title'"):
        parse_recipe({"title": "plum", "titel": "plum"}, Cake, "here")


def test_a_recipe_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Cake(title="plum").title = "pear"


def test_the_short_form_of_a_recipe_has_the_keys_that_differ_from_their_defaults() -> None:
    cake = Cake(title="plum", oven=Oven(heat=0.7), layers=(3,), filling=Cream(type="cream"))
    short = short_recipe(dump_recipe(cake), Cake)
    assert short == "title: plum\noven:\n  heat: 0.7\nlayers:\n- 3\nfilling:\n  type: cream\n"
    assert parse_recipe(yaml.safe_load(short), Cake, "cake") == cake


@pytest.mark.parametrize(
    "text", [None, "", "title: plum\nsugar: 1\n", "title: [", f"title: plum\nlayers: {[1] * 3000}\n"]
)
def test_what_is_no_recipe_of_the_type_or_a_huge_one_has_no_short_form(text: str | None) -> None:
    assert short_recipe(text, Cake) is None
