"""Docstrings are plain statements and commands, never questions."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ticketzoo"
QUESTION = re.compile(r"(What|Whatever|Whether|When|Where|Which|Who|Whose|Why|How)\b")


def questions(source: str) -> list[str]:
    """The first lines of docstrings in `source` that begin with a question word."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return [text.splitlines()[0] for text in found if QUESTION.match(text)]


def test_no_docstring_begins_with_a_question_word() -> None:
    found = {path.relative_to(PACKAGE).as_posix(): questions(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert {module: lines for module, lines in found.items() if lines} == {}


def test_a_question_is_seen_wherever_it_stands() -> None:
    source = '''"""How it works."""
class Mask:
    """Which weights stay."""
    def kept(self):
        """Return whether any does."""
'''
    assert questions(source) == ["How it works.", "Which weights stay."]
