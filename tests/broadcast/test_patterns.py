import pytest

from broadcast.patterns import problem_of


@pytest.mark.parametrize(
    "pattern",
    ["", "claude", "^openai/.*mini$", "(gpt|claude)-[0-9]+", r"\bgpt\b", "colou?r", "[0-9]{3}", "(?i)gpt"],
)
def test_ordinary_patterns_may_be_used(pattern: str) -> None:
    assert problem_of(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "can be read"),
        ("[[a]", "can be read"),
        ("(a+)+", "inside a repeat"),
        ("(a{1,5}){2,9}", "inside a repeat"),
        ("(ab|a)*", "alternatives"),
        ("a*a*", "fewer repeats"),
        ("a?" * 9, "fewer repeats"),
        (r"(a)\1", "back-references"),
        ("(?=a)b", "look-arounds"),
        ("a{5000}", "at most 100"),
        ("a" * 513, "at most 512"),
        ("(" * 400 + ")" * 400, "at most 512"),
    ],
)
def test_the_rest_is_refused_with_the_fix(pattern: str, words: str) -> None:
    assert words in str(problem_of(pattern))
