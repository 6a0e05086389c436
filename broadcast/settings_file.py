"""A workspace's destinations and switch as a YAML file that may lie in a repository: it holds no secret.

Texts may hold `${VAR}`; secrets must. `$${` stands for `${` itself. What is as for a new destination is left
out, so that a file that was written says as little as one by hand, and reads back to exactly the same.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from broadcast import draft
from broadcast.destination import Destination
from broadcast.errors import NotApplied
from broadcast.fields import is_masked

_VARIABLE: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARTS: Final = ("broadcast", "destinations")
_HEAD: Final = """\
# Written by `broadcast export`. Set each ${VARIABLE}, then: broadcast apply FILE
# What a destination does not say is as for a new one.
"""


# -- written -----------------------------------------------------------------------------------------


def written(views: Iterable[Mapping[str, Any]], *, enabled: bool) -> str:
    """Return the file that says what the API's destinations and switch are; the operator's are left out."""
    taken: set[str] = set()
    listed = [_item(view, taken) for view in views if view["origin"] != "operator"]
    document = {"broadcast": {"enabled": enabled}, "destinations": listed}
    return _HEAD + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=110
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - for people, who read no anchors
        return True


def _item(view: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    name = view["name"]
    config = {field: _without_secrets(value, (name, field), taken) for field, value in view["config"].items()}
    rest = {
        field: _escaped(view[field])
        for field, otherwise in draft.DEFAULTS.items()
        if view[field] != (list(otherwise) if isinstance(otherwise, tuple) else otherwise)
    }
    return {"name": _escaped(name), "type": view["type"], "config": config, **rest}


def _without_secrets(value: Any, path: tuple[str, ...], taken: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_secrets(item, (*path, name), taken) for name, item in value.items()}
    return f"${{{_variable(path, taken)}}}" if is_masked(value) else _escaped(value)


def _variable(path: Iterable[str], taken: set[str]) -> str:
    """Return a name that no other secret of the file has, such as COLLECTOR_API_KEY."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", "_".join(path)).upper()
    name = re.sub(r"[^A-Z0-9]+", "_", words).strip("_")
    # A name of ours that is no setting would stop the program; one must not begin with a digit.
    name = name if re.match(r"(?!BROADCAST_)[A-Z]", name) else f"SECRET_{name}"
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _escaped(item) for name, item in value.items()}
    return value


# -- read --------------------------------------------------------------------------------------------


def read(text: str, variables: Mapping[str, str], types: Mapping[str, type[Destination]]) -> dict[str, Any]:
    """Return what a file asks for, its variables filled in; raise `NotApplied` with all that is wrong."""
    document = _document(text)
    problems = [
        _problem("the file", str(name), "This field is not known here.")
        for name in document.keys() - set(_PARTS)
    ]
    filled: dict[str, Any] = {name: document[name] for name in _PARTS if name in document}
    listed = filled.get("destinations")
    if isinstance(listed, list):
        filled["destinations"] = [
            _filled(item, number, variables, types, problems) for number, item in enumerate(listed, 1)
        ]
    else:
        problems.append(_problem("the file", "destinations", "Enter a list of destinations; `[]` for none."))
    if problems:
        raise NotApplied(problems)
    return filled


class _Loader(yaml.SafeLoader):
    """Reads plain data; a name that stands twice in one place is a mistake, not the later value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice} stands here twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _document(text: str) -> dict[str, Any]:
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark, what = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f" in line {mark.line + 1}" if mark else ""
        why = f": {what}" if what else ""
        raise NotApplied([_problem("the file", None, f"This is not valid YAML{line}{why}.")]) from None
    if not isinstance(found, dict):
        message = "Enter `destinations:` with a list, and `broadcast:` with `enabled`."
        raise NotApplied([_problem("the file", None, message)])
    return found


def _filled(
    item: Any,
    number: int,
    variables: Mapping[str, str],
    types: Mapping[str, type[Destination]],
    problems: list[dict[str, Any]],
) -> Any:
    if not isinstance(item, dict):
        problems.append(_problem(f"destination {number}", None, "Enter `name`, `type` and `config`."))
        return item
    name = item.get("name")
    shown = name if isinstance(name, str) else f"destination {number}"
    for place in _bare_secrets(item, types):
        message = "A secret does not belong in this file: write ${NAME}, and set the variable NAME."
        problems.append(_problem(shown, place, message))
    found: list[tuple[str, str]] = []
    filled = _expanded(item, (), variables, found)
    problems += [_problem(shown, place, message) for place, message in found]
    return filled


def _bare_secrets(item: Mapping[str, Any], types: Mapping[str, type[Destination]]) -> Iterator[str]:
    """Yield the places where a secret stands without a variable."""
    kind, config = item.get("type"), item.get("config")
    if not isinstance(kind, str) or kind not in types or not isinstance(config, dict):
        return
    for spec in types[kind].specs():
        given = config.get(spec.outside)
        if not spec.secret or given is None:
            continue
        values = given if isinstance(given, dict) else {None: given}
        for name, value in values.items():
            if value is not None and not any(match[1] for match in _VARIABLE.finditer(str(value))):
                yield ".".join(("config", spec.outside, *(() if name is None else (str(name),))))


def _expanded(
    value: Any, path: tuple[str, ...], variables: Mapping[str, str], problems: list[tuple[str, str]]
) -> Any:
    """Return a value with its variables filled in, and note each place where that cannot be."""
    place = ".".join(path)
    if isinstance(value, dict):
        # YAML reads a bare `on` as true and `1` as a number: who sees `True` has to know why.
        odd = [".".join((*path, str(name))) for name in value if not isinstance(name, str)]
        problems += [(each, "Put this name between quotes: YAML reads it as no text.") for each in odd]
        return {
            str(name): _expanded(item, (*path, str(name)), variables, problems)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [
            _expanded(item, (*path, str(number)), variables, problems) for number, item in enumerate(value)
        ]
    if value is None or isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        problems.append((place, "Put this between quotes: YAML reads it as no text."))
        return None

    def filled(match: "re.Match[str]") -> str:
        name = match[1]
        if name is None:
            return "${"
        if not _NAME.fullmatch(name):
            problems.append((place, "Write ${NAME} with letters, digits and underscores; $${ is ${ itself."))
        elif not variables.get(name):
            problems.append((place, f"The variable {name} is not set. Set it."))
        return variables.get(name, "")

    return _VARIABLE.sub(filled, value)


def _problem(destination: str, field: str | None, message: str) -> dict[str, Any]:
    return {"destination": destination, "field": field, "message": message}
