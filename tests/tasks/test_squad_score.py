"""SQuAD's scores on cases whose result follows from the task's definition."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketzoo.tasks.squad_answers import exact_match, normalise_answer, squad_scores, word_f1


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Norman  conquest!", "norman conquest"),
        ("an apple, a day", "apple day"),
        ("theatre", "theatre"),  # an article is a word of its own
        ("U.S.A.", "usa"),
        ("co-operate", "cooperate"),
        ("a", ""),
        ("a.b", "ab"),  # punctuation goes before articles do
        ("Beyoncé\u2013Z", "beyoncé\u2013z"),  # only ASCII punctuation is punctuation
        (" 1,000\t£5 \n", "1000 £5"),
    ],
)
def test_answers_are_compared_without_case_punctuation_articles_and_spaces(text: str, normal: str) -> None:
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(
    ("answer", "right", "exact", "f1"),
    [
        ("the Denver Broncos", "Denver Broncos.", 1, 1),
        ("Denver", "Denver Broncos", 0, 2 / 3),  # precision 1, recall 1/2
        ("Broncos of Denver", "Denver Broncos", 0, 2 * (2 / 3) / (2 / 3 + 1)),
        ("to be or not to be", "to be", 0, 2 * (2 / 6) / (2 / 6 + 1)),  # each word as often as it occurs
        ("Carolina Panthers", "Denver Broncos", 0, 0),
        ("", "Denver Broncos", 0, 0),
        ("the", "", 1, 1),
        ("", "", 1, 1),
    ],
)
def test_exact_match_and_f1(answer: str, right: str, exact: float, f1: float) -> None:
    assert exact_match(answer, right) == exact
    assert word_f1(answer, right) == pytest.approx(f1)
    assert word_f1(right, answer) == pytest.approx(f1)


def test_a_question_s_score_is_that_of_its_best_right_answer() -> None:
    right = [["Santa Clara, California", "Santa Clara", "Levi's Stadium"], ["gold"], []]
    scores = squad_scores(["Santa Clara", "golden", ""], right)
    assert scores == {"exact_match": pytest.approx(2 / 3), "f1": pytest.approx(2 / 3)}
    assert squad_scores(["Levi's", "gold", "gold"], right) == {
        "exact_match": pytest.approx(1 / 3),
        "f1": pytest.approx((2 / 3 + 1 + 0) / 3),
    }


def test_right_answers_without_words_do_not_count_beside_others() -> None:
    assert squad_scores([""], [["the", "gold"]]) == {"exact_match": 0, "f1": 0}
    assert squad_scores(["a"], [["the"]]) == {"exact_match": 1, "f1": 1}


TEXTS = st.text(alphabet="atheAn .,'é\n1", max_size=20)


@given(TEXTS, TEXTS)
@settings(max_examples=60)
def test_f1_lies_between_exact_match_and_one(answer: str, right: str) -> None:
    assert exact_match(answer, right) <= word_f1(answer, right) <= 1
    assert word_f1(answer, right) == word_f1(right, answer)
    assert normalise_answer(normalise_answer(answer)) == normalise_answer(answer)
