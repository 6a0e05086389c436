"""Filter rules as rows of a form: what a person edits, and CONTRACT's `filter_rules` object.

A posted rule is four fields `rule-GROUP-RULE-field`, `-key`, `-operator`, `-value`; a group's logic is
`group-GROUP-logic`. The key is that of the caller's trace, where the field is one. Numbers only tell groups
and rules apart and may have gaps.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from broadcast import filters

FIELDS: Final = {
    "model": "Model",
    "provider": "Provider",
    "api_key_name": "API key name",
    "user_id": "User",
    "session_id": "Session",
    "finish_reason": "Finish reason",
    "total_cost": "Total cost, USD",
    "total_tokens": "Total tokens",
    "prompt_tokens": "Input tokens",
    "completion_tokens": "Output tokens",
    "input": "Input text",
    "output": "Output text",
    "status": "Status",
    "latency": "Latency, ms",
    "attempts": "Attempts",
    "tags": "Tag",
    filters.TRACE: "Trace key",
}
OPERATORS: Final = {
    "equals": "is",
    "not_equals": "is not",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "regex": "matches pattern",
    "gt": "more than",
    "lt": "less than",
    "gte": "at least",
    "lte": "at most",
    "exists": "is present",
    "not_exists": "is absent",
}
LOGIC: Final = {"and": "every rule holds", "or": "any rule holds"}
WITHOUT_VALUE: Final = frozenset({"exists", "not_exists"})
_NUMERIC: Final = frozenset({"equals", "not_equals", "gt", "lt", "gte", "lte"})
_POSTED: Final = re.compile(r"rule-(\d{1,6})-(\d{1,6})-field")
_PLACE: Final = re.compile(r"groups\[(\d+)\](?:\.rules\[(\d+)\])?(?:\.(\w+))?")
_ACTION: Final = re.compile(r"(add-rule|remove-rule)-(\d{1,6})(?:-(\d{1,6}))?")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row: a field, an operator and a value as typed; `problem` is what is wrong with it."""

    field: str = "model"
    key: str = ""
    operator: str = "equals"
    value: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rules joined by `and` or `or`."""

    rules: tuple[Rule, ...] = (Rule(),)
    logic: str = "and"
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """Every group; `off` keeps the rules without using them."""

    groups: tuple[Group, ...] = ()
    off: bool = False
    problem: str = ""

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong with it."""
        marked = [self.problem, *(group.problem for group in self.groups)]
        return any(marked) or any(rule.problem for group in self.groups for rule in group.rules)

    @property
    def about_content(self) -> bool:
        """Whether a rule looks at what was said."""
        return any(rule.field in filters.CONTENT_FIELDS for group in self.groups for rule in group.rules)


def from_document(document: Mapping[str, Any] | None) -> RuleSet:
    """Return what is stored as rows; None is no rules."""
    if not document:
        return RuleSet()
    groups = tuple(
        Group(
            rules=tuple(
                Rule(
                    **_placed_field(str(rule.get("field", ""))),
                    operator=str(rule.get("operator", "")),
                    value=_typed(rule.get("value")),
                )
                for rule in group.get("rules") or ()
            ),
            logic=str(group.get("logic", "and")),
        )
        for group in document.get("groups") or ()
    )
    return RuleSet(groups=groups, off=document.get("enabled") is False)


def from_post(data: Any) -> RuleSet:
    """Return what was posted as rows, in their order on the page; `data` is Werkzeug's mapping."""
    found: dict[int, list[int]] = {}
    for name in data:
        match = _POSTED.fullmatch(name)
        if match:
            found.setdefault(int(match[1]), []).append(int(match[2]))
    groups = tuple(
        Group(
            rules=tuple(
                Rule(**{part: data.get(f"rule-{group}-{rule}-{part}", "") for part in _PARTS})
                for rule in sorted(rules)
            ),
            logic=data.get(f"group-{group}-logic", "and"),
        )
        for group, rules in sorted(found.items())
    )
    return RuleSet(groups=groups, off=data.get("rules-off", "") == "on")


_PARTS: Final = ("field", "key", "operator", "value")


def _placed_field(name: str) -> dict[str, str]:
    if not name.startswith(filters.TRACE):
        return {"field": name}
    return {"field": filters.TRACE, "key": name.removeprefix(filters.TRACE)}


def acted(rules: RuleSet, action: str) -> RuleSet:
    """Return the rows after a button that adds or removes one; what no button says changes nothing.

    Groups and rules are counted by their place on the page, from 0.
    """
    if action == "add-group":
        return replace(rules, groups=(*rules.groups, Group()))
    match = _ACTION.fullmatch(action)
    if match is None or int(match[2]) >= len(rules.groups):
        return rules
    at = int(match[2])
    group = rules.groups[at]
    if match[1] == "add-rule":
        kept: tuple[Rule, ...] = (*group.rules, Rule(field=group.rules[-1].field if group.rules else "model"))
    else:
        kept = tuple(rule for place, rule in enumerate(group.rules) if str(place) != match[3])
    changed = (replace(group, rules=kept),) if kept else ()
    return replace(rules, groups=(*rules.groups[:at], *changed, *rules.groups[at + 1 :]))


def document(rules: RuleSet) -> dict[str, Any] | None:
    """Return the object that is stored, None when there are no rules."""
    if not rules.groups:
        return None
    groups = [
        {"logic": group.logic, "rules": [_rule_document(rule) for rule in group.rules]}
        for group in rules.groups
    ]
    return {"enabled": not rules.off, "groups": groups}


def _rule_document(rule: Rule) -> dict[str, Any]:
    field = rule.field + rule.key.strip() if rule.field == filters.TRACE else rule.field
    named: dict[str, Any] = {"field": field, "operator": rule.operator}
    return named if rule.operator in WITHOUT_VALUE else {**named, "value": _value(rule)}


def _value(rule: Rule) -> str | int | float:
    """Return a number where the field and the operator compare numbers, else the text as typed."""
    if rule.field not in filters.NUMBER_FIELDS or rule.operator not in _NUMERIC:
        return rule.value
    try:
        number = Decimal(rule.value.strip())
    except InvalidOperation:
        return rule.value
    if not number.is_finite() or abs(number.adjusted()) > _DIGITS:
        return rule.value
    return int(number) if number == number.to_integral_value() else float(number)


_DIGITS: Final = 15


def _typed(value: Any) -> str:
    """Return a stored value as a person would type it."""
    if value is None:
        return ""
    return format(Decimal(str(value)), "f") if isinstance(value, float) else str(value)


# -- judging -----------------------------------------------------------------------------------------


def judged(rules: RuleSet) -> RuleSet:
    """Return the rows, each with what is wrong with it."""
    problems = filters.validate(document(rules))
    problems |= {
        f"groups[{at}].rules[{row}].value": "Enter a value, or remove this rule."
        for at, group in enumerate(rules.groups)
        for row, rule in enumerate(group.rules)
        if not rule.value.strip() and rule.operator not in WITHOUT_VALUE
    }
    return placed(rules, problems.items())


def placed(rules: RuleSet, problems: Iterable[tuple[str, str]]) -> RuleSet:
    """Return the rows with problems put at the rule, the group or the whole that their paths name."""
    groups = [replace(group, rules=tuple(group.rules)) for group in rules.groups]
    general = ""
    for path, words in problems:
        match = _PLACE.match(path)
        at = int(match[1]) if match else len(groups)
        if match is None or at >= len(groups):
            general = general or words
        elif match[2] is None or int(match[2]) >= len(groups[at].rules):
            groups[at] = replace(groups[at], problem=words)
        else:
            groups[at] = _with_problem(
                groups[at], int(match[2]), _said(rules, at, int(match[2]), path, words)
            )
    return replace(rules, groups=tuple(groups), problem=general)


def _with_problem(group: Group, row: int, words: str) -> Group:
    rules = list(group.rules)
    rules[row] = replace(rules[row], problem=words)
    return replace(group, rules=tuple(rules))


def _said(rules: RuleSet, at: int, row: int, path: str, words: str) -> str:
    """Return a problem in the page's own words where the API's would name what no page shows."""
    rule = rules.groups[at].rules[row]
    if path.endswith(".operator") and rule.operator in OPERATORS and rule.field in FIELDS:
        return f"“{OPERATORS[rule.operator]}” compares numbers, and {FIELDS[rule.field]} is text."
    return words
