from typing import Any

import pytest

from broadcast import filters
from broadcast.receipt import Cost, KeyRef, Usage
from tests import factories

KEY = "a" * 64
OTHER = "b" * 64


def wants(rules: Any, *, included: Any = None, excluded: Any = None, **overrides: Any) -> bool:
    return filters.decide(
        factories.full_receipt(**overrides),
        api_key_hashes=included,
        excluded_api_key_hashes=excluded,
        filter_rules=rules,
    )


@pytest.mark.parametrize(
    ("region", "goes_to"),
    [
        (None, {"global"}),
        ("global", {"global"}),
        ("eu-central-1", {"global"}),
        ("europe", {"europe"}),
        ("eu", {"europe"}),
        ("us", {"us"}),
    ],
)
def test_a_receipt_goes_only_where_its_region_is_asked_for(region: str | None, goes_to: set[str]) -> None:
    receipt = factories.receipt(region=region)
    rules: Any = {"api_key_hashes": None, "excluded_api_key_hashes": None, "filter_rules": None}
    assert {each for each in filters.REGIONS if filters.decide(receipt, regions=(each,), **rules)} == goes_to
    assert filters.decide(receipt, regions=filters.REGIONS, **rules)


def one(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"groups": [{"rules": [{"field": field, "operator": operator, "value": value}]}]}


@pytest.mark.parametrize("rules", [None, {}, {"groups": []}, {"enabled": True}])
def test_no_groups_let_everything_pass(rules: Any) -> None:
    assert wants(rules)


def test_rules_switched_off_let_everything_pass() -> None:
    assert wants({**one("model", "equals", "x"), "enabled": False})


def test_the_excluded_key_wins() -> None:
    assert wants(None, included=(KEY,))
    assert not wants(None, included=(OTHER,))
    assert not wants(None, included=(KEY,), excluded=(KEY,))
    assert wants(None, excluded=(OTHER,))
    assert wants(None, included=())


def test_a_request_without_a_known_key_is_in_no_list() -> None:
    assert not wants(None, included=(KEY,), api_key=None)
    assert wants(None, excluded=(KEY,), api_key=KeyRef())


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("model", "equals", "openai/gpt-4o-mini", True),
        ("model", "equals", "OPENAI/gpt-4o-mini", False),
        ("model", "not_equals", "x", True),
        ("model", "contains", "4o", True),
        ("model", "not_contains", "4o", False),
        ("model", "starts_with", "openai/", True),
        ("model", "ends_with", "-mini", True),
        ("model", "regex", "^openai/.*mini$", True),
        ("model", "regex", "claude", False),
        ("provider", "equals", "OpenAI", True),
        ("session_id", "exists", None, True),
        ("user_id", "not_exists", None, False),
        ("api_key_name", "equals", "backend", True),
        ("finish_reason", "equals", "stop", True),
        ("input", "contains", "receipt?", True),
        ("output", "contains", "finished request", True),
        ("total_cost", "gt", 0.0003, True),
        ("total_cost", "equals", "0.000387", True),
        ("total_cost", "lt", "0.000387", False),
        ("total_cost", "lte", "0.000387", True),
        ("total_cost", "starts_with", "0.0003", True),
        ("total_tokens", "equals", 1545, True),
        ("prompt_tokens", "gte", 1200, True),
        ("completion_tokens", "lt", 345.0, False),
        ("completion_tokens", "gt", "many", False),
        ("model", "gt", 1, False),
        ("model", "like", "x", False),
        ("slowness", "gt", 1, False),
    ],
)
def test_every_field_and_operator(field: str, operator: str, value: Any, expected: bool) -> None:
    assert wants(one(field, operator, value)) is expected


def test_what_is_unknown_satisfies_only_the_negative_operators() -> None:
    assert not wants(one("total_cost", "lt", 1), cost=None)
    assert not wants(one("total_tokens", "exists"), usage=Usage(output_tokens=1))
    assert wants(one("total_cost", "not_exists"), cost=Cost())
    assert wants(one("session_id", "not_equals", "x"), session_id=None)


def test_rules_of_a_group_are_joined_by_its_logic_and_groups_by_or() -> None:
    yes = {"field": "model", "operator": "exists"}
    no = {"field": "model", "operator": "not_exists"}
    assert not wants({"groups": [{"rules": [yes, no]}]})
    assert wants({"groups": [{"logic": "or", "rules": [yes, no]}]})
    assert wants({"groups": [{"rules": [no]}, {"rules": [yes]}]})
    assert not wants({"groups": [{"rules": [no]}, {"logic": "or", "rules": [no]}]})


def test_rules_about_content_are_known_as_such() -> None:
    assert filters.needs_content(one("output", "contains", "x"))
    assert not filters.needs_content(one("model", "contains", "x"))
    assert not filters.needs_content({**one("output", "contains", "x"), "enabled": False})
    assert not filters.needs_content(None)


@pytest.mark.parametrize("rules", [None, {}, one("model", "equals", "x"), one("total_cost", "gt", "0.5")])
def test_good_rules_have_no_problems(rules: Any) -> None:
    assert filters.validate(rules) == {}


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ([], "filter_rules"),
        ({"group": []}, "group"),
        ({"enabled": "yes"}, "enabled"),
        ({"groups": {}}, "groups"),
        ({"groups": [3]}, "groups[0]"),
        ({"groups": [{"rules": []}]}, "groups[0].rules"),
        (
            {"groups": [{"logic": "xor", "rules": [{"field": "model", "operator": "exists"}]}]},
            "groups[0].logic",
        ),
        ({"groups": [{"rules": [3]}]}, "groups[0].rules[0]"),
        (one("slowness", "gt", 1), "groups[0].rules[0].field"),
        (one("model", "like", "x"), "groups[0].rules[0].operator"),
        (one("model", "gt", 1), "groups[0].rules[0].operator"),
        (one("model", "equals", None), "groups[0].rules[0].value"),
        (one("model", "equals", True), "groups[0].rules[0].value"),
        (one("total_cost", "gt", "much"), "groups[0].rules[0].value"),
        (one("model", "regex", "("), "groups[0].rules[0].value"),
        (one("model", "regex", r"(a)\1"), "groups[0].rules[0].value"),
        ({"groups": [{"rules": [{"field": ["model"], "operator": {}}]}]}, "groups[0].rules[0].field"),
    ],
)
def test_a_wrong_rule_is_named(rules: Any, path: str) -> None:
    problems = filters.validate(rules)
    assert path in problems
    assert all(problem.endswith(".") for problem in problems.values())


def test_a_pattern_looks_at_the_first_64_kib_of_a_text() -> None:
    assert wants(one("input", "regex", ".*needle.*"), input="a" * 65_000 + "needle")
    assert not wants(one("input", "regex", ".*needle.*"), input="a" * 65_536 + "needle")
    assert wants(one("input", "contains", "needle"), input="a" * 1_000_000 + "needle")


def test_a_stored_pattern_that_is_refused_today_matches_nothing() -> None:
    assert not wants(one("model", "regex", r"(g)\1|.*"))


# -- fields beyond OpenRouter's ----------------------------------------------------------------------

TRACE = {
    "team": "search",
    "step": 3,
    "beta": True,
    "none": None,
    "a.b": "dotted",
    "deep": {"er": {"key": "nested"}},
    "tags": ["prod", "eu"],
    "steps": [1, 5],
    "price": "2.5",
}


@pytest.mark.parametrize(
    ("field", "operator", "value", "holds"),
    [
        ("status", "equals", "error", True),
        ("status", "not_equals", "error", False),
        ("status", "regex", "^(error|denied)$", True),
        ("latency", "gt", 1500, True),
        ("latency", "equals", 1500.5, True),
        ("latency", "lte", "1500", False),
        ("attempts", "gte", 1, True),
        ("attempts", "equals", 3, False),
        ("tags", "equals", "eu", True),
        ("tags", "equals", "us", False),
        ("tags", "not_equals", "eu", False),
        ("tags", "not_contains", "us", True),
        ("tags", "starts_with", "pr", True),
        ("tags", "exists", None, True),
        ("trace.team", "equals", "search", True),
        ("trace.team", "contains", "ear", True),
        ("trace.step", "gt", 2, True),
        ("trace.step", "equals", "3", True),
        ("trace.step", "not_equals", 3, False),
        ("trace.steps", "gt", 4, True),
        ("trace.steps", "gt", 5, False),
        ("trace.price", "gte", 2.5, True),
        ("trace.beta", "equals", "true", True),
        ("trace.beta", "gt", 0, False),
        ("trace.a.b", "equals", "dotted", True),
        ("trace.deep.er.key", "equals", "nested", True),
        ("trace.deep.er", "contains", "nested", True),
        ("trace.deep.no.key", "exists", None, False),
        ("trace.none", "exists", None, False),
        ("trace.none", "not_exists", None, True),
        ("trace.missing", "not_equals", "x", True),
        ("trace.missing", "equals", "x", False),
        ("trace.team", "gt", 1, False),
    ],
)
def test_fields_beyond_openrouters(field: str, operator: str, value: Any, holds: bool) -> None:
    rules = one(field, operator, value)
    assert filters.validate(rules) == {}
    assert wants(rules, status="error", duration_us=1_500_500, trace=TRACE) is holds


@pytest.mark.parametrize("trace", [None, {}, {"tags": []}])
@pytest.mark.parametrize("field", ["tags", "trace.team"])
def test_what_the_caller_did_not_say_is_absent(field: str, trace: dict[str, Any] | None) -> None:
    assert wants(one(field, "not_exists"), trace=trace)
    assert not wants(one(field, "equals", "x"), trace=trace)


@pytest.mark.parametrize(
    ("field", "operator", "value", "path"),
    [
        ("trace.", "equals", "x", "field"),
        ("trace. ", "equals", "x", "field"),
        ("trace." + "k" * 257, "equals", "x", "field"),
        ("traces.team", "equals", "x", "field"),
        ("status", "gt", 1, "operator"),
        ("tags", "lt", 1, "operator"),
        ("trace.step", "gt", "many", "value"),
        ("latency", "equals", "slow", "value"),
    ],
)
def test_a_wrong_rule_is_named_by_its_place(field: str, operator: str, value: Any, path: str) -> None:
    assert list(filters.validate(one(field, operator, value))) == [f"groups[0].rules[0].{path}"]
