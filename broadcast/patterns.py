"""Which regular expressions may be used: only such as cannot hang on text that a stranger chose.

Python's engine tries every way to divide a text between repeats: two that overlap take time by the square of
its length, one inside the other by its power. So a pattern has few repeats, and none inside another.
"""

import re
import warnings
from typing import Any, Final

_MAX_LENGTH: Final = 512
_MAX_OPEN_REPEATS: Final = 1
_MAX_OPTIONAL: Final = 8
_MAX_TIMES: Final = 100
"""The most a bounded repeat may ask for: each counted repeat is unrolled by the engine."""


def problem_of(pattern: str) -> str | None:
    """Return why a pattern is refused, as a sentence, or None when it may be used."""
    if len(pattern) > _MAX_LENGTH:
        return f"Enter a pattern of at most {_MAX_LENGTH} characters."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = re._parser.parse(pattern)  # type: ignore[attr-defined]  # noqa: SLF001 - the only reader of its own syntax
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, Warning):
        return "This is not a regular expression that can be read."
    counted = _Counted()
    return counted.judge(tree, inside=False)


class _Counted:
    """The repeats met so far in one pattern."""

    def __init__(self) -> None:
        self.open = 0
        self.optional = 0

    def judge(self, tree: Any, *, inside: bool) -> str | None:
        for operator, argument in tree:
            problem = self._judge_one(str(operator), argument, inside=inside)
            if problem:
                return problem
        return None

    def _judge_one(self, operator: str, argument: Any, *, inside: bool) -> str | None:
        if operator in {"GROUPREF", "GROUPREF_EXISTS", "ASSERT", "ASSERT_NOT"}:
            return "Leave out back-references and look-arounds."
        if operator in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            return self._judge_repeat(argument, inside=inside)
        if operator == "BRANCH":
            if inside:
                return "Leave out alternatives inside a repeat."
            return next((found for item in argument[1] if (found := self.judge(item, inside=inside))), None)
        if operator in {"SUBPATTERN", "ATOMIC_GROUP"}:
            return self.judge(argument[-1] if operator == "SUBPATTERN" else argument, inside=inside)
        return None

    def _judge_repeat(self, argument: Any, *, inside: bool) -> str | None:
        least, most, body = argument
        if inside:
            return "Leave out repeats inside a repeat, such as (a+)+."
        if int(most) == 1:
            self.optional += 1
        elif least != most:
            self.open += 1
        if self.optional > _MAX_OPTIONAL or self.open > _MAX_OPEN_REPEATS:
            return "Use fewer repeats: contains, starts_with and ends_with need none."
        if int(least) > _MAX_TIMES:
            return f"Repeat at most {_MAX_TIMES} times."
        return self.judge(body, inside=True)
