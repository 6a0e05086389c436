"""A workspace's destinations and switch as one whole: what settings would change in it.

A destination is known by its name. What the settings do not say is as for a new destination, so that the same
settings always mean the same. One that they do not name is left alone, or deleted where they `prune`; the
operator's are never touched.

Raised: SettingsError for the form of the whole, NotApplied for everything that is wrong inside.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from broadcast import draft
from broadcast.connections import MAX_OF_A_TYPE, Connections
from broadcast.destination import Destination
from broadcast.errors import NotApplied, SettingsError, VaultError
from broadcast.gate import opened
from broadcast.store import Store, destinations, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace

Problem = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting before and after, secrets masked."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Change:
    """One destination that the settings add, change or remove; `body` is what is saved, secrets included."""

    action: Literal["add", "change", "remove"]
    name: str
    type: str
    stored: StoredDestination | None
    fields: tuple[Field, ...] = ()
    is_tested: bool = False
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tested: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def view(self) -> dict[str, Any]:
        """Return the change as the API says it."""
        return {
            "action": self.action,
            "name": self.name,
            "type": self.type,
            "id": self.stored.uid if self.stored else None,
            "tested": self.is_tested,
            "fields": [
                {"field": each.field, "before": each.before, "after": each.after} for each in self.fields
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What differs from a workspace; `left` are the destinations that the settings do not name."""

    changes: tuple[Change, ...]
    switch: bool | None
    unchanged: int
    left: tuple[str, ...]

    def view(self, *, applied: bool) -> dict[str, Any]:
        """Return the plan as the API says it."""
        return {
            "applied": applied,
            "changes": [change.view() for change in self.changes],
            "switch": self.switch,
            "unchanged": self.unchanged,
            "left": list(self.left),
        }


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The settings of a whole workspace as they were sent; `enabled` is None where they leave it alone."""

    enabled: bool | None
    destinations: tuple[Mapping[str, Any], ...] = field(repr=False)
    prune: bool
    dry_run: bool


def wanted_from(body: Mapping[str, Any]) -> Wanted:
    """Return the settings of a body; raise `SettingsError` by field for a form that is wrong."""
    switch, listed = body.get("broadcast", {}), body.get("destinations")
    problems = dict.fromkeys(
        sorted(body.keys() - {"broadcast", "destinations", "prune", "dry_run"}),
        "This field is not known here.",
    )
    if not isinstance(switch, Mapping) or switch.keys() - {"enabled"}:
        problems["broadcast"] = "Enter an object with `enabled`, or leave this out."
    elif not isinstance(switch.get("enabled", True), bool):
        problems["broadcast.enabled"] = "Enter true or false."
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        problems["destinations"] = "Enter a list of destinations; an empty list for none."
    for name in ("prune", "dry_run"):
        if not isinstance(body.get(name, False), bool):
            problems[name] = "Enter true or false."
    if problems:
        raise SettingsError(problems)
    return Wanted(
        enabled=switch.get("enabled"),
        destinations=tuple(listed or ()),
        prune=body.get("prune", False),
        dry_run=body.get("dry_run", False),
    )


class Planner:
    """Compares settings with what a workspace has, and tells everything that is wrong with them."""

    def __init__(
        self, store: Store, connections: Connections, types: Mapping[str, type[Destination]]
    ) -> None:
        self._store = store
        self._connections = connections
        self._types = types

    def plan(self, workspace: Workspace, wanted: Wanted) -> Plan:
        """Return what differs; raise `NotApplied` with everything that is wrong."""
        with self._store.read() as conn:
            listed = destinations.list_for(conn, workspace.id)
            fresh = workspaces.by_id(conn, workspace.id)
        known = {stored.name.casefold(): stored for stored in listed}
        problems: list[Problem] = []
        found: dict[str, Change | None] = {}
        for number, body in enumerate(wanted.destinations, 1):
            name = body.get("name")
            shown = name.strip() if isinstance(name, str) and name.strip() else f"destination {number}"
            if shown.casefold() in found:
                problems += _problems(shown, {"name": "These settings name it twice. Choose another name."})
                continue
            try:
                found[shown.casefold()] = self._change(workspace, known.get(shown.casefold()), body)
            except SettingsError as error:
                found[shown.casefold()] = None
                problems += _problems(shown, error.problems)
        rest = [each for each in listed if each.name.casefold() not in found and each.origin != "operator"]
        removed = [_removal(stored) for stored in rest] if wanted.prune else []
        changes = (*removed, *(change for change in found.values() if change is not None))
        problems += _crowded(listed, changes)
        if problems:
            raise NotApplied(problems)
        is_on = fresh is not None and fresh.broadcast_enabled
        return Plan(
            changes=changes,
            switch=None if wanted.enabled in {None, is_on} else wanted.enabled,
            unchanged=sum(change is None for change in found.values()),
            left=tuple(stored.name for stored in rest) if not wanted.prune else (),
        )

    def _change(
        self, workspace: Workspace, stored: StoredDestination | None, body: Mapping[str, Any]
    ) -> Change | None:
        """Return what one destination's settings change, None for nothing."""
        columns, after = self._described(workspace, stored, body)
        config = {**after.plain(), **opened(type(after), after.secrets())}
        whole = {"type": body["type"], "config": config}
        name = columns["name"]
        if stored is None:
            body = {**whole, **columns}
            return Change(
                action="add",
                name=name,
                type=body["type"],
                stored=None,
                is_tested=True,
                body=body,
                tested=whole,
            )
        settings = tuple(self._settings(workspace, stored, after))
        others = {each: value for each, value in columns.items() if value != getattr(stored, each)}
        if not settings and not others:
            return None
        absent = (stored.config.keys() | stored.masks.keys()) - config.keys()
        patch = {"config": {**config, **dict.fromkeys(absent)}} if settings else {}
        return Change(
            action="change",
            name=name,
            type=stored.type,
            stored=stored,
            fields=(
                *(Field(field=each, before=getattr(stored, each), after=others[each]) for each in others),
                *settings,
            ),
            # One that is off, and only renamed or the like, has nothing that a test could say.
            is_tested=bool(settings) or columns["enabled"],
            body={**others, **patch},
            tested=whole,
        )

    def _described(
        self, workspace: Workspace, stored: StoredDestination | None, body: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Destination]:
        """Return columns and configured destination; raise `SettingsError` with all that is wrong in both."""
        problems = {name: "This field is not known here." for name in ("workspace_id",) if name in body}
        columns: dict[str, Any] = {}
        after: Destination | None = None
        if stored is not None and stored.origin == "operator":
            problems["name"] = "The operator declared a destination of this name. Choose another."
        kind = body.get("type")
        cls = self._types.get(kind) if isinstance(kind, str) else None
        try:
            columns = draft.changes(body, None, cls)
        except SettingsError as error:
            problems |= error.problems
        if cls is None:
            problems["type"] = "Choose one of " + ", ".join(sorted(self._types)) + "."
        elif stored is not None and stored.type != kind:
            problems["type"] = f"This is of type {stored.type}, which cannot change. Choose another name."
        else:
            try:
                after = cls.parse(draft.config_of(body, cls, workspace.uid))
            except SettingsError as error:
                problems |= {
                    each if each == "config" else f"config.{each}": text
                    for each, text in error.problems.items()
                }
        if problems or after is None:
            raise SettingsError(problems)
        return columns, after

    def _settings(
        self, workspace: Workspace, stored: StoredDestination, after: Destination
    ) -> Iterator[Field]:
        """Yield the settings that differ from what is stored; a secret that does not open differs."""
        try:
            before = self._connections.opened(workspace, stored)
            plain, secrets = before.plain(), before.secrets()
        except (VaultError, SettingsError):
            plain, secrets = stored.config, {}
        is_new = {name: value for name, value in after.secrets().items() if secrets.get(name) != value}
        for name in sorted(plain.keys() | after.plain().keys()):
            if plain.get(name) != after.plain().get(name):
                yield Field(field=f"config.{name}", before=plain.get(name), after=after.plain().get(name))
        for name in sorted(is_new.keys() | (stored.masks.keys() - after.masks().keys())):
            yield Field(field=f"config.{name}", before=stored.masks.get(name), after=after.masks().get(name))


def _removal(stored: StoredDestination) -> Change:
    return Change(action="remove", name=stored.name, type=stored.type, stored=stored)


def _problems(name: str, found: Mapping[str, str]) -> list[Problem]:
    return [{"destination": name, "field": each, "message": message} for each, message in found.items()]


def _crowded(listed: Iterable[StoredDestination], changes: Iterable[Change]) -> list[Problem]:
    """Return a problem for each type of which there would be too many."""
    counted = Counter(stored.type for stored in listed if stored.origin == "user")
    added: set[str] = set()
    for change in changes:
        if change.action == "add":
            counted[change.type] += 1
            added.add(change.type)
        elif change.action == "remove" and change.stored is not None and change.stored.origin == "user":
            counted[change.type] -= 1
    message = f"A workspace has at most {MAX_OF_A_TYPE} destinations of a type."
    return [
        {"destination": kind, "field": "type", "message": message}
        for kind in sorted(added)
        if counted[kind] > MAX_OF_A_TYPE
    ]
