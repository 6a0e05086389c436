"""What a person adds to a destination, judged once for the API, the form and the files."""

import pytest

from broadcast.additions import read_patterns


@pytest.mark.parametrize(
    "pattern",
    [
        "foo ",
        " foo",
        "\tfoo",
        "foo\u00a0",
        " ",
        "\u2003",
        "a\nb",
        "foo\n",
        "\n",
        "a\rb",
        "a\x0bb",
        "a\u2028b",
    ],
)
def test_a_pattern_that_a_line_cannot_hold_is_refused_with_the_fix(pattern: str) -> None:
    with pytest.raises(
        ValueError, match=r"^Pattern 2: This (begins or ends with a blank|has a line break): write"
    ):
        read_patterns(["fine", pattern])


@pytest.mark.parametrize(("pattern", "fix"), [("foo ", r"write \s."), ("a\nb", r"write \n.")])
def test_the_fix_is_the_pattern_that_means_the_same(pattern: str, fix: str) -> None:
    with pytest.raises(ValueError, match=r"^Pattern 1: ") as refused:
        read_patterns([pattern])

    assert str(refused.value).endswith(fix)


@pytest.mark.parametrize("pattern", [r"foo\s", r"a\nb", "a b", "[ ]", "foo"])
def test_a_pattern_on_a_line_of_its_own_is_kept_as_it_is(pattern: str) -> None:
    assert read_patterns([pattern]) == (pattern,)


@pytest.mark.parametrize("nothing", [None, []])
def test_no_patterns_are_none(nothing: object) -> None:
    assert read_patterns(nothing) is None
