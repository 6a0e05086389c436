from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from broadcast import filters
from web import filter_rules
from web.filter_rules import FIELDS, LOGIC, OPERATORS, Group, Rule, RuleSet, acted, document, judged

ONE = RuleSet(groups=(Group(rules=(Rule(field="provider", value="OpenAI"),)),))


def posted(rules: RuleSet) -> RuleSet:
    """Return what the page would post back for these rows."""
    data = [("rules", "rows"), *([("rules-off", "on")] if rules.off else [])]
    for at, group in enumerate(rules.groups):
        data.append((f"group-{at}-logic", group.logic))
        for row, rule in enumerate(group.rules):
            data += [
                (f"rule-{at}-{row}-{part}", getattr(rule, part))
                for part in ("field", "key", "operator", "value")
            ]
    return filter_rules.from_post(MultiDict(data))


def test_every_field_and_operator_has_words() -> None:
    assert set(FIELDS) == {*filters.FIELDS, filters.TRACE}
    assert set(OPERATORS) == set(filters.OPERATORS)
    assert list(LOGIC) == ["and", "or"]


@pytest.mark.parametrize("nothing", [None, {}, {"groups": []}, {"enabled": False}])
def test_no_groups_are_no_rules(nothing: Any) -> None:
    assert document(filter_rules.from_document(nothing)) is None


RULES = st.builds(
    lambda field, operator, number, text: {
        "field": field,
        "operator": operator,
        **(
            {}
            if operator in filter_rules.WITHOUT_VALUE
            else {
                "value": number
                if field in filters.NUMBER_FIELDS and operator in {"equals", "gt", "gte", "lt", "lte"}
                else text
            }
        ),
    },
    st.sampled_from([*filters.FIELDS, "trace.team", "trace.deep.key"]),
    st.sampled_from(filters.OPERATORS),
    st.one_of(st.integers(0, 10**12), st.decimals(0, 1000, places=6).map(float)),
    st.text("abcxyz/-*", min_size=1, max_size=20),
)
DOCUMENTS = st.builds(
    lambda enabled, groups: {"enabled": enabled, "groups": groups},
    st.booleans(),
    st.lists(
        st.builds(
            lambda logic, rules: {"logic": logic, "rules": rules},
            st.sampled_from(["and", "or"]),
            st.lists(RULES, min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=4,
    ),
)


@given(DOCUMENTS)
def test_a_document_survives_the_page(made: dict[str, Any]) -> None:
    assert document(posted(filter_rules.from_document(made))) == made


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("100", 100),
        ("1e3", 1000),
        ("0.001", 0.001),
        (" 7 ", 7),
        ("much", "much"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
    ],
)
def test_a_number_is_a_number_where_numbers_are_compared(typed: str, value: Any) -> None:
    made = RuleSet(groups=(Group(rules=(Rule(field="total_tokens", operator="gt", value=typed),)),))
    assert document(made) == {
        "enabled": True,
        "groups": [{"logic": "and", "rules": [{"field": "total_tokens", "operator": "gt", "value": value}]}],
    }


def test_a_value_that_looks_like_a_number_stays_text_elsewhere() -> None:
    made = RuleSet(groups=(Group(rules=(Rule(field="user_id", value="007"),)),))
    assert document(made) == {
        "enabled": True,
        "groups": [{"logic": "and", "rules": [{"field": "user_id", "operator": "equals", "value": "007"}]}],
    }


@pytest.mark.parametrize(
    ("press", "shape"),
    [
        ("add-group", [1, 1]),
        ("add-rule-0", [2]),
        ("remove-rule-0-0", []),
        ("remove-rule-0-5", [1]),
        ("remove-rule-3-0", [1]),
        ("add-rule-3", [1]),
        ("add-rule--1", [1]),
        ("", [1]),
    ],
)
def test_a_press_changes_the_rows(press: str, shape: list[int]) -> None:
    assert [len(group.rules) for group in acted(ONE, press).groups] == shape


def test_problems_stand_at_the_rule_the_group_and_the_whole() -> None:
    many = RuleSet(groups=(Group(rules=(Rule(value="x"),) * 21),))
    assert judged(many).groups[0].problem == "A group has 1 to 20 rules."
    wide = RuleSet(groups=(Group(rules=(Rule(value="x"),)),) * 21)
    assert judged(wide).problem == "Enter a list of at most 20 groups."
    odd = judged(RuleSet(groups=(Group(rules=(Rule(field="colour", operator="like", value="x"),)),)))
    assert odd.groups[0].rules[0].problem
    assert all(made.wrong for made in (judged(many), judged(wide), odd))
    assert not judged(ONE).wrong


@pytest.mark.parametrize(
    "name", ["rule-1-field", "rule-a-0-field", "rule-0-0-field-x", "rule-9999999-0-field"]
)
def test_names_that_are_no_rules_are_ignored(name: str) -> None:
    assert filter_rules.from_post(MultiDict({name: "model"})).groups == ()
