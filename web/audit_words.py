"""What the audit log says of each change, in words; every action that is ever recorded has its own."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from broadcast.store.audit import Entry
from web.formats import plural

Say = Callable[[Entry], str]

KINDS: Final = {
    "people": "People",
    "keys": "Keys",
    "destinations": "Destinations",
    "workspace": "Workspace",
}
"""What the log can be narrowed to."""


def words(entry: Entry) -> str:
    """Return what happened, in one sentence without its stop; it begins where the person's name ends."""
    known = _SAYS.get(entry.action)
    return known[1](entry) if known else entry.action.replace("_", " ").replace(".", " ")


def actions_of(kind: str | None) -> frozenset[str] | None:
    """Return the actions of a kind, None for all."""
    if kind not in KINDS:
        return None
    return frozenset(action for action, (of, _) in _SAYS.items() if of == kind)


def known() -> frozenset[str]:
    """Return every action that has words of its own."""
    return frozenset(_SAYS)


def _plain(text: str) -> Say:
    """Return a sentence whose braces are filled from the entry: {target}, {name}, {host} and the like."""
    return lambda entry: text.format_map(_Parts(entry))


class _Parts(Mapping[str, str]):
    """The parts of a sentence; one that an old entry lacks is a dash."""

    def __init__(self, entry: Entry) -> None:
        self._parts: dict[str, Any] = {
            **entry.detail,
            "target": entry.target,
            # What the engine pauses it names itself; a person's change names the outside id.
            "destination": entry.destination or entry.target,
        }

    def __getitem__(self, name: str) -> str:
        found = self._parts.get(name)
        if name == "kind" and found == "api":
            return "API"
        if isinstance(found, list):
            return ", ".join(str(item).replace("_", " ") for item in found)
        return "\u2013" if found in {None, ""} else str(found)

    def __iter__(self) -> Any:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _counted(text: str, field: str, *, one: str) -> Say:
    """Return a sentence that ends in how many things ended with it, where some did."""

    def say(entry: Entry) -> str:
        number = entry.detail.get(field) or 0
        ended = f"; {plural(number, one)} ended" if number else ""
        return _plain(text)(entry) + ended

    return say


def _replayed(entry: Entry) -> str:
    receipts = plural(entry.detail.get("receipts") or 0, "receipt")
    return f"started a replay of {receipts} to " + _plain("{destination}")(entry)


def _either(field: str, yes: str, no: str) -> Say:
    return lambda entry: _plain(yes if entry.detail.get(field) else no)(entry)


def _key_changed(entry: Entry) -> str:
    disabled = entry.detail.get("disabled")
    if disabled is None:
        return _plain("changed the key {name}: {fields}")(entry)
    return _plain(f"switched the key {{name}} {'off' if disabled else 'on'}")(entry)


def _joined(entry: Entry) -> str:
    invited = entry.detail.get("invited_as")
    by = f", invited as {invited}" if invited not in {None, entry.target} else ""
    return _plain("joined as {role}")(entry) + by


def _login_refused(entry: Entry) -> str:
    why = str(entry.detail.get("reason") or "no reason").replace("_", " ")
    return _plain("could not sign in with {provider}")(entry) + f": {why}"


_MADE: Final = "made the {kind} key {name}"
_KEYS: Final = "management key"
_SESSIONS: Final = "session"

_SAYS: Final[Mapping[str, tuple[str, Say]]] = {
    "login": ("people", _either("provider", "signed in with {provider}", "signed in")),
    "login_refused": ("people", _login_refused),
    "login_connected": ("people", _plain("connected {provider} with the account")),
    "login_disconnected": ("people", _plain("disconnected {provider} from the account")),
    "login_failed": ("people", _plain("could not sign in: the password was wrong")),
    "password_set": ("people", _plain("got a new password from the command line; every session ended")),
    "password_changed": ("people", _counted("changed the password", "sessions_ended", one=_SESSIONS)),
    "password_reset_asked": ("people", _plain("got a link to choose a new password")),
    "password_reset": ("people", _counted("chose a new password by a link", "sessions_ended", one=_SESSIONS)),
    "invitation_made": ("people", _plain("invited {target} as {role}")),
    "invitation_revoked": ("people", _plain("revoked the invitation of {target}")),
    "member_joined": ("people", _joined),
    "member_role_changed": ("people", _plain("changed the role of {target} from {from} to {to}")),
    "member_left": ("people", _counted("left the workspace", "management_keys", one=_KEYS)),
    "member_removed": ("people", _counted("removed {target}", "management_keys", one=_KEYS)),
    "key_created": ("keys", _plain(_MADE)),
    "key_changed": ("keys", _key_changed),
    "key_revoked": ("keys", _plain("revoked the {kind} key {name}")),
    "destination.created": ("destinations", _plain("added {destination}")),
    "destination.updated": ("destinations", _plain("changed {destination}: {fields}")),
    "destination.deleted": ("destinations", _plain("deleted {destination}")),
    "destination.paused": ("destinations", _plain("paused {destination}")),
    "destination.needs_attention": (
        "destinations",
        _plain("paused {destination} after its answer: {reason}"),
    ),
    "destination.resumed": (
        "destinations",
        _either("reason", "resumed {destination} after its answer: {reason}", "resumed {destination}"),
    ),
    "destination.trace_sent": (
        "destinations",
        _either(
            "ok",
            "sent a test trace to {destination}: it was taken",
            "sent a test trace to {destination}: it was not taken",
        ),
    ),
    "destination.replay_started": ("destinations", _replayed),
    "destination.replay_stopped": ("destinations", _plain("stopped a replay to {destination}")),
    "broadcast.switched_on": ("workspace", _plain("switched Broadcast on")),
    "broadcast.switched_off": ("workspace", _plain("switched Broadcast off")),
    "notifications.email_changed": (
        "workspace",
        _either(
            "enabled", "switched the mail about destinations on", "switched the mail about destinations off"
        ),
    ),
    "notifications.webhook_saved": ("workspace", _plain("saved a webhook address at {host}")),
    "notifications.webhook_removed": ("workspace", _plain("removed the webhook address at {host}")),
    "notifications.tested": (
        "workspace",
        _either("ok", "tested the webhook at {host}: passed", "tested the webhook at {host}: failed"),
    ),
    "notice.given_up": ("workspace", _plain("gave up a notice about {destination} after {tries} tries")),
    "workspace_created": ("workspace", _plain("made the workspace {name}")),
    "workspace_renamed": ("workspace", _plain("renamed the workspace to {name}")),
    "workspace_changed": ("workspace", _plain("changed the workspace's slug or description")),
    "workspace_deleted": ("workspace", _plain("deleted the workspace {name}")),
}
