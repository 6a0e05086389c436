"""The parser that checks the views, checked itself: by Tempo's own lists of good and bad queries."""

import pytest

from tests.destinations.traceql import BadQuery, Use, uses

GOOD = [
    "{ true }",
    "{ true && false }",
    "{ span.a }",
    "{ span.a && (false || status = error) }",
    "{ resource.a != 3 }",
    '{ span."a b" =~ "x|y" }',
    "{ duration > 1.5s }",
    "{ kind = client }",
    "{} | rate()",
    "{} | min_over_time(duration) by (span.http.path)",
    "{} | quantile_over_time(duration, 0, 0.9, 1) by (span.http.path)",
    "{} | sum_over_time(span.a) by (span.b, name) | topk(10)",
    "{} | select(span.a, span.b)",
]


@pytest.mark.parametrize("query", GOOD)
def test_what_tempo_takes_is_taken(query: str) -> None:
    uses(query)


@pytest.mark.parametrize(
    "query",
    [
        "true",
        "{ span.a < }",
        "{ span.a < 3",
        "{ (span.a < 3 }",
        "{ attribute = 4 }",
        "{ span.a == 4 }",
        "{ span. }",
        "{ status }",
        '{ duration = "1s" }',
        "{ name =~ error }",
        "{ span.a =~ 2 }",
        "{ 1 && true }",
        "{} | select()",
        "{} | by()",
        "{} | topk(3)",
        "{} | rate(span.a)",
        "{} | sum_over_time()",
        "{} | quantile_over_time(duration, 95)",
        "{} | quantile_over_time(duration, .95)",
        "{} | rate() by (attribute)",
        "{} | rate() rate()",
        '{ span.a = "x }',
    ],
)
def test_what_tempo_refuses_is_refused(query: str) -> None:
    with pytest.raises(BadQuery):
        uses(query)


def test_a_use_says_what_the_attribute_has_to_be() -> None:
    query = (
        '{ resource.r = "x" && span.i > 1 && span.f > 0.1 } | quantile_over_time(span."q q", 0.5) by (span.g)'
    )
    assert uses(query) == [
        Use("resource", "r", frozenset({"string"})),
        Use("span", "i", frozenset({"int"})),
        Use("span", "f", frozenset({"float"})),
        Use("span", "q q", frozenset({"int"})),
        Use("span", "g", frozenset({"string", "int", "float", "bool"})),
    ]
