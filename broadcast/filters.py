"""Does this destination want this receipt? Keys first, then groups of rules: any group may hold.

Operators are OpenRouter's, and so are the first twelve fields; `trace.<key>` is any key of the caller's
`trace`, a dot leading into what is nested. Where a field holds several values (tags, a list of `trace`) a
rule holds when it holds for one of them. A rule that cannot be judged does not hold; none of them raises.
"""

import json
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from broadcast.patterns import PatternError, compiled, problem_of
from broadcast.receipt import Receipt

MATCHED_CHARACTERS: Final = 65_536
"""How much of a text a pattern looks at; every other operator looks at all of it."""

_MAX_GROUPS: Final = 20
_MAX_RULES: Final = 20
_MAX_VALUE: Final = 1024
_NANO: Final = Decimal(1_000_000_000)


def _usage(name: str) -> Callable[[Receipt], int | None]:
    return lambda receipt: getattr(receipt.usage, name) if receipt.usage is not None else None


def _total_tokens(receipt: Receipt) -> int | None:
    usage = receipt.usage
    if usage is None or usage.total_tokens is not None:
        return usage.total_tokens if usage is not None else None
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens


def _total_cost(receipt: Receipt) -> Decimal | None:
    nano_usd = receipt.cost.total_nano_usd if receipt.cost is not None else None
    return None if nano_usd is None else nano_usd / _NANO


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _of_trace(receipt: Receipt, path: str) -> Any:
    """Return what the caller's `trace` holds under a key, or under one in the other; None for nothing."""
    value: Any = receipt.trace
    if isinstance(value, dict) and path in value:
        return value[path]
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _values_of(receipt: Receipt, field: str) -> list[Any] | None:
    """Return the values of a field that are there, or None for a field that does not exist."""
    if field.startswith(TRACE):
        found = _of_trace(receipt, field.removeprefix(TRACE))
    elif field in _FIELDS:
        found = _FIELDS[field](receipt)
    else:
        return None
    several = found if isinstance(found, list | tuple) else (found,)
    return [
        _as_text(value) if isinstance(value, dict | list) else value for value in several if value is not None
    ]


def _matches(found: str, pattern: str) -> bool:
    """A stored pattern that is refused today matches nothing."""
    try:
        return compiled(pattern).search(found[:MATCHED_CHARACTERS])
    except PatternError:
        return False


_FIELDS: Final[Mapping[str, Callable[[Receipt], Any]]] = {
    "model": lambda receipt: receipt.model,
    "provider": lambda receipt: receipt.provider,
    "session_id": lambda receipt: receipt.session_id,
    "user_id": lambda receipt: receipt.user,
    "api_key_name": lambda receipt: receipt.api_key.name if receipt.api_key is not None else None,
    "finish_reason": lambda receipt: receipt.finish_reason,
    "input": lambda receipt: _as_text(receipt.input),
    "output": lambda receipt: _as_text(receipt.output),
    "total_cost": _total_cost,
    "total_tokens": _total_tokens,
    "prompt_tokens": _usage("input_tokens"),
    "completion_tokens": _usage("output_tokens"),
    "status": lambda receipt: receipt.status,
    "latency": lambda receipt: Decimal(receipt.duration_us) / 1000,
    "attempts": lambda receipt: len(receipt.attempts),
    "tags": lambda receipt: _of_trace(receipt, "tags"),
}
NUMBER_FIELDS: Final = frozenset(
    {"total_cost", "total_tokens", "prompt_tokens", "completion_tokens", "latency", "attempts"}
)
TRACE: Final = "trace."
"""What the name of a caller's own field begins with."""

_MAX_KEY: Final = 256
CONTENT_FIELDS: Final = frozenset({"input", "output"})
FIELDS: Final = tuple(_FIELDS)
_TEXT_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": lambda found, wanted: found == wanted,
    "contains": lambda found, wanted: wanted in found,
    "starts_with": lambda found, wanted: found.startswith(wanted),
    "ends_with": lambda found, wanted: found.endswith(wanted),
    "regex": _matches,
}
_NUMBER_OPERATORS: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "equals": lambda found, wanted: found == wanted,
    "gt": lambda found, wanted: found > wanted,
    "lt": lambda found, wanted: found < wanted,
    "gte": lambda found, wanted: found >= wanted,
    "lte": lambda found, wanted: found <= wanted,
}
_NEGATIVE: Final = {"not_equals": "equals", "not_contains": "contains"}
REGIONS: Final = ("global", "europe", "us")
"""Where a request may be kept to: a receipt of a region goes only where that region is asked for."""

OPERATORS: Final = (
    "equals", "not_equals", "contains", "not_contains", "regex", "starts_with", "ends_with",
    "gt", "lt", "gte", "lte", "exists", "not_exists",
)  # fmt: skip
_COMPARING: Final = frozenset({"gt", "lt", "gte", "lte"})
_WITHOUT_VALUE: Final = frozenset({"exists", "not_exists"})


# -- deciding ----------------------------------------------------------------------------------------


def decide(
    receipt: Receipt,
    *,
    api_key_hashes: Collection[str] | None,
    excluded_api_key_hashes: Collection[str] | None,
    filter_rules: Mapping[str, Any] | None,
    regions: Collection[str] = REGIONS,
) -> bool:
    """Return whether the destination wants the receipt; an excluded key wins over an included one."""
    if region_of(receipt) not in regions:
        return False
    key_hash = receipt.api_key.hash if receipt.api_key is not None else None
    if excluded_api_key_hashes and key_hash in excluded_api_key_hashes:
        return False
    if api_key_hashes and key_hash not in api_key_hashes:
        return False
    if not filter_rules or filter_rules.get("enabled") is False:
        return True
    groups = filter_rules.get("groups") or ()
    return not groups or any(_group_holds(receipt, group) for group in groups)


def region(name: str) -> str:
    """Return a region by its own name; eu is another one for europe."""
    return "europe" if name == "eu" else name


def region_of(receipt: Receipt) -> str:
    """Return the region that a receipt is kept to; any other place is global."""
    named = region(receipt.region or "")
    return named if named in REGIONS else "global"


def needs_content(filter_rules: Mapping[str, Any] | None) -> bool:
    """Return whether a rule looks at input or output."""
    if not filter_rules or filter_rules.get("enabled") is False:
        return False
    groups = filter_rules.get("groups") or ()
    return any(rule.get("field") in CONTENT_FIELDS for group in groups for rule in group.get("rules") or ())


def _group_holds(receipt: Receipt, group: Mapping[str, Any]) -> bool:
    rules = group.get("rules") or ()
    if rules and group.get("logic") == "or":
        return any(_rule_holds(receipt, rule) for rule in rules)
    return all(_rule_holds(receipt, rule) for rule in rules)


def _rule_holds(receipt: Receipt, rule: Mapping[str, Any]) -> bool:
    values = _values_of(receipt, str(rule.get("field", "")))
    if values is None:
        return False
    operator = str(rule.get("operator", ""))
    if operator in _WITHOUT_VALUE:
        return bool(values) == (operator == "exists")
    negated = operator in _NEGATIVE
    positive = _NEGATIVE.get(operator, operator)
    return any(_compare(found, positive, rule.get("value")) for found in values) is not negated


def _compare(found: Any, operator: str, value: Any) -> bool:
    number = _number(found) if operator in _COMPARING or not isinstance(found, str) else None
    if number is not None and operator in _NUMBER_OPERATORS:
        wanted = _number(value)
        return wanted is not None and _NUMBER_OPERATORS[operator](number, wanted)
    judge = _TEXT_OPERATORS.get(operator)
    return judge is not None and value is not None and judge(_words(found), _words(value))


def _words(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


# -- validating --------------------------------------------------------------------------------------


def validate(rules: Any) -> dict[str, str]:
    """Return what is wrong with filter rules, by dotted path; empty when they can be saved."""
    if rules is None:
        return {}
    if not isinstance(rules, Mapping):
        return {"filter_rules": "Enter an object with groups of rules, or null."}
    problems = {str(name): "Unknown setting." for name in rules.keys() - {"enabled", "groups"}}
    if not isinstance(rules.get("enabled", True), bool):
        problems["enabled"] = "enabled is true or false."
    groups = rules.get("groups", [])
    if not isinstance(groups, list | tuple) or len(groups) > _MAX_GROUPS:
        return {**problems, "groups": f"Enter a list of at most {_MAX_GROUPS} groups."}
    for index, group in enumerate(groups):
        problems.update(_group_problems(f"groups[{index}]", group))
    return problems


def _group_problems(path: str, group: Any) -> dict[str, str]:
    if not isinstance(group, Mapping):
        return {path: "A group is an object with logic and rules."}
    problems = {f"{path}.{name}": "Unknown setting." for name in group.keys() - {"logic", "rules"}}
    if group.get("logic", "and") not in {"and", "or"}:
        problems[f"{path}.logic"] = "Choose and, or or."
    rules = group.get("rules")
    if not isinstance(rules, list | tuple) or not 1 <= len(rules) <= _MAX_RULES:
        return {**problems, f"{path}.rules": f"A group has 1 to {_MAX_RULES} rules."}
    for index, rule in enumerate(rules):
        problems.update(_rule_problems(f"{path}.rules[{index}]", rule))
    return problems


def _rule_problems(path: str, rule: Any) -> dict[str, str]:
    if not isinstance(rule, Mapping):
        return {path: "A rule is an object with field, operator and value."}
    problems = {f"{path}.{name}": "Unknown setting." for name in rule.keys() - {"field", "operator", "value"}}
    field, operator = rule.get("field"), rule.get("operator")
    if problem := _field_problem(field):
        problems[f"{path}.field"] = problem
    if operator not in OPERATORS:
        problems[f"{path}.operator"] = "Choose one of " + ", ".join(OPERATORS) + "."
    elif operator in _COMPARING and field in FIELDS and field not in NUMBER_FIELDS:
        problems[f"{path}.operator"] = f"{operator} compares numbers, and {field} is text."
    if not problems:
        problem = _value_problem(str(field), str(operator), rule.get("value"))
        return {f"{path}.value": problem} if problem else {}
    return problems


def _field_problem(field: Any) -> str | None:
    if isinstance(field, str) and field.startswith(TRACE):
        key = field.removeprefix(TRACE)
        if not key.strip() or len(key) > _MAX_KEY:
            return f"Enter the key of the trace after {TRACE}, at most {_MAX_KEY} characters."
        return None
    if field in FIELDS:
        return None
    return "Choose one of " + ", ".join(FIELDS) + f", or {TRACE} and a key of the trace."


def _value_problem(field: str, operator: str, value: Any) -> str | None:
    if operator in _WITHOUT_VALUE:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > _MAX_VALUE:
        return f"Enter text of at most {_MAX_VALUE} characters, or a number."
    if operator == "regex":
        return problem_of(str(value))
    compares = field in NUMBER_FIELDS and operator in {*_NUMBER_OPERATORS, "not_equals"}
    if (compares or operator in _COMPARING) and _number(value) is None:
        return "Enter a number."
    return None
