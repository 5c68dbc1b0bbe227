"""A key of another method or criterion: the error says whose it is, and lists the keys of the one asked for."""

import pytest

from ticketzoo.api.recipes import read_for
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe

CASES = [
    ("biprop", "finder.watch.every=1ep", "'finder.watch': method biprop has no key 'watch', but early-bird; known: al"),
    ("imp", "finder.method=edge-popup", "'finder.rewind': method edge-popup has no key 'rewind', but imp, one-shot, "),
    (
        "synflow",
        "finder.prune.criterion.examples_per_class=5",
        "criterion synflow has no key 'examples_per_class', but snip, grad, grasp, grasp-abs, ...; known: iterations,",
    ),
    ("imp", "finder.rewnd=1it", "unknown key 'finder.rewnd', did you mean 'rewind'?"),
]


@pytest.mark.parametrize(("recipe", "override", "says"), CASES)
def test_a_key_of_another_entry_is_said_to_be_its(recipe: str, override: str, says: str) -> None:
    with pytest.raises(RecipeError) as raised:
        read_for("find", f"finders/{recipe}", FindRecipe, [override])
    assert says in str(raised.value)
    if "known" in says:
        assert "watch" not in str(raised.value).partition("known: ")[2]
