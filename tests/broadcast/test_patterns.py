import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.patterns import MAX_POSITIONS, MOST_STEPS, PatternError, compiled, problem_of

HOSTILE = (
    "(a+)+$", "(a|a)*b", "(a*)*b", "a*a*a*a*a*b", "(a?){30}a{30}", r"(\w+\s?)*$", "a+.*b", "(x+x+)+y",
    ".*.*.*=.*", "(a|b)*a(a|b){100}c", "((a{0,3}){0,3}){0,3}b", "(.*a){25}c", r"(?i)(a|B|[ab]|\w)*!$",
)  # fmt: skip
LONG = 65_536


@pytest.mark.parametrize(
    "pattern",
    [
        "", "claude", "^openai/.*mini$", "(gpt|claude)-[0-9]+", r"\bgpt\b", "colou?r", "[0-9]{3}", "(?i)gpt",
        ".*foo.*", ".*foo.*bar.*", r"\w+@\w+\.com", "(foo|bar)+", r"^\d{4}-\d{2}-\d{2}$", "[^/]+/[^/]+",
        "^(?:openai|anthropic)/(gpt|claude)-.*-(mini|haiku)$", "(?s)BEGIN.*END", "a{0,100}", *HOSTILE,
    ],
)  # fmt: skip
def test_what_people_write_may_be_used(pattern: str) -> None:
    assert problem_of(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "can be read"),
        ("[[a]", "can be read"),
        (r"(a)\1", "back-references"),
        ("(?=a)b", "look-arounds"),
        ("(?<!a)b", "look-arounds"),
        ("(a)?(?(1)b|c)", "back-references"),
        ("a++b", "possessive"),
        ("(?>a)b", "atomic"),
        ("a{5000}", "Repeat less often"),
        ("((a{50}){50}){50}", "Repeat less often"),
        ("(){100}" * 60, "Repeat less often"),
        ("".join(f"[{chr(97 + at // 26)}{chr(97 + at % 26)}-{chr(123)}]" for at in range(33)), "at most 32"),
        (r"(?a)\bgpt", "word boundaries"),
        ("a" * 513, "at most 512"),
        ("(" * 400 + ")" * 400, "at most 512"),
    ],
)
def test_the_rest_is_refused_with_the_fix(pattern: str, words: str) -> None:
    assert words in str(problem_of(pattern))
    with pytest.raises(PatternError):
        compiled(pattern)


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("unit", ["a", "ab", "x=", "a" * 999 + "!"])
def test_a_search_takes_steps_in_proportion_to_the_text(pattern: str, unit: str) -> None:
    made = compiled(pattern)
    text = (unit * LONG)[:LONG]
    before = made.steps
    made.search(text)
    assert made.steps - before <= len(text) * MOST_STEPS


def test_text_of_ever_new_characters_costs_no_more() -> None:
    made = compiled(r"(?i)[a-f]+\W?[x-z]*\d\d$")
    text = "".join(chr(0x4E00 + at % 20_000) for at in range(LONG))
    before = made.steps
    made.search(text)
    assert made.steps - before <= len(text) * MOST_STEPS


# -- the same answer as Python's -----------------------------------------------------------------------

ATOMS = st.sampled_from(
    ["a", "b", "1", " ", r"\n", ".", r"\d", r"\w", r"\s", r"\W", r"\D", r"\S", "[ab]", "[^a]", "[a-z]",
     r"[^\d_]",
     "Ä", "ß", "^", "$", r"\b", r"\B", r"\A", r"\Z", "(?i:A)", "(?i:[^A])", "(?i:ä)", "(?s:.)", "_"]
)  # fmt: skip
TIMES = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?", "+?", "{2,}"])


def _larger(inner: Any) -> Any:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, TIMES).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda item: f"({item})"),
    )


PATTERNS = st.tuples(
    st.sampled_from(["", "(?i)", "(?m)", "(?s)"]), st.recursive(ATOMS, _larger, max_leaves=8)
)


@given(PATTERNS.map("".join), st.text(st.sampled_from("ab1 _-\nÄäßA"), min_size=1, max_size=12))
def test_it_finds_what_pythons_engine_finds(pattern: str, text: str) -> None:
    assert compiled(pattern).search(text) is (re.search(pattern, text) is not None)


def test_a_pattern_may_match_nothing_at_all() -> None:
    assert compiled("").search("")
    assert compiled("a*").search("")
    assert not compiled("a").search("")


# -- what a match has a part in ------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["a+b", "(ab|ba)*c", "a.*b", "foo|o+", "[ab]{2,3}", "a(b|c)?a", "x*"])
@given(text=st.text("abcofx", max_size=8))
def test_every_character_of_every_match_is_covered_and_no_other(pattern: str, text: str) -> None:
    expression = re.compile(pattern)
    touched = {
        place
        for begin in range(len(text))
        for end in range(begin + 1, len(text) + 1)
        if expression.fullmatch(text, begin, end)
        for place in range(begin, end)
    }
    spans = compiled(pattern).covered(text)
    assert {place for begin, end in spans for place in range(begin, end)} == touched
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        (r"\bcat\b", "cat concat cat", [(0, 3), (11, 14)]),
        ("^x+$", "xx\n", [(0, 2)]),
        ("(?i)key", "a KEY", [(2, 5)]),
    ],
)
def test_what_stands_beside_a_match_is_not_covered(
    pattern: str, text: str, spans: list[tuple[int, int]]
) -> None:
    assert compiled(pattern).covered(text) == spans


@pytest.mark.parametrize(("pattern", "text"), [("(a|a)*b", "a" * 20_000 + "b"), ("a.*b", "ab" * 10_000)])
def test_covering_a_text_takes_steps_in_proportion_to_it(pattern: str, text: str) -> None:
    found = compiled(pattern)
    before = found.steps
    found.covered(text)
    assert found.steps - before <= len(text) * (MOST_STEPS + MAX_POSITIONS)
