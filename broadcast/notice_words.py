"""What a notice says, by mail and by webhook: what happened, what is held, what to do.

It holds no secret and no prompt: the reason is what the engine wrote down, with secrets taken out.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from broadcast.times import rfc3339, rfc3339_or_none

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REASON_CHARS: Final = 300


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one notice; `held_until_us` is None where nothing is held."""

    kind: Literal["needs_attention", "resumed"]
    at_us: int
    message: str
    workspace_uid: str
    workspace_name: str
    destination_uid: str
    destination_name: str
    destination_type: str
    held: int
    held_until_us: int | None
    url: str
    settings_url: str

    @property
    def reason(self) -> str:
        """Return the destination's words on one line."""
        printable = "".join(char if char.isprintable() else " " for char in self.message)
        return " ".join(printable.split())[:_REASON_CHARS]

    @property
    def happened(self) -> str:
        """Return what happened; an answer is quoted."""
        return f"It answered “{self.reason}”" if self.status else self.reason.rstrip(".")

    @property
    def status(self) -> str:
        """Return the status of the answer, empty where the reason is none."""
        found = re.match(r"[1-5]\d\d\b", self.reason)
        return found.group() if found else ""


def body(facts: Facts) -> dict[str, Any]:
    """Return the JSON that a workspace's webhook gets; `text` is what Slack and its like show."""
    return {
        "type": f"destination.{facts.kind}",
        "at": rfc3339(facts.at_us),
        "workspace": {"id": facts.workspace_uid, "name": facts.workspace_name},
        "destination": {
            "id": facts.destination_uid,
            "name": facts.destination_name,
            "type": facts.destination_type,
        },
        "reason": facts.reason,
        "held": facts.held,
        "held_until": rfc3339_or_none(facts.held_until_us),
        "url": facts.url,
        "text": chat_text(sentence(facts), facts.url),
    }


def trial_body(*, at_us: int, workspace_uid: str, workspace_name: str, url: str) -> dict[str, Any]:
    """Return the JSON of a test: the same names, and nothing that happened."""
    said = f"{workspace_name} tested this address. Destinations that need attention are reported here."
    return {
        "type": "notification.test",
        "at": rfc3339(at_us),
        "workspace": {"id": workspace_uid, "name": workspace_name},
        "destination": None,
        "reason": None,
        "held": 0,
        "held_until": None,
        "url": url,
        "text": chat_text(said, url),
    }


def sentence(facts: Facts) -> str:
    """Return the notice in one sentence."""
    who = f"{facts.destination_name} in {facts.workspace_name}"
    if facts.kind == "resumed":
        left = f"{_receipts(facts.held)} still to be sent" if facts.held else "nothing is held any more"
        return f"{who} delivers again; {left}."
    words = facts.happened
    return f"{who} needs attention: {words[:1].lower()}{words[1:]}; {_held(facts)}."


def chat_text(said: str, url: str) -> str:
    """Return a sentence and its link; the three characters that chats read as markup are written out."""
    plain = said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{plain} {url}"


def subject(facts: Facts) -> str:
    """Return the subject of the mail."""
    what = "delivers again" if facts.kind == "resumed" else "needs attention"
    return f"Broadcast: {facts.destination_name} {what}"


def text(facts: Facts) -> str:
    """Return the mail's plain text."""
    parts = _resumed(facts) if facts.kind == "resumed" else _needs_attention(facts)
    why = f"You get this as an owner or admin of {facts.workspace_name}."
    return "\n\n".join([*parts, f"{why} To switch it off:\n{facts.settings_url}"]) + "\n"


def _needs_attention(facts: Facts) -> list[str]:
    held = _held(facts)
    goes_on = "Broadcast also tries by itself, with growing pauses; when a try passes, it sends what is held."
    return [
        f"{facts.destination_name} in {facts.workspace_name} needs attention.",
        f"What happened\n{facts.happened}, at {moment(facts.at_us)}.",
        f"What is held\n{held[0].upper()}{held[1:]}. What is routed from now on is held as well.",
        f"What to do\n{_advice(facts)}:\n{facts.url}\n{goes_on}",
    ]


def _resumed(facts: Facts) -> list[str]:
    left = f"{_receipts(facts.held)} still to be sent." if facts.held else "Nothing is held any more."
    return [
        f"{facts.destination_name} in {facts.workspace_name} delivers again, since {moment(facts.at_us)}.",
        f"{left[0].upper()}{left[1:]}",
        f"Nothing is left to do. The destination:\n{facts.url}",
    ]


def _advice(facts: Facts) -> str:
    if facts.status in {"401", "403"}:
        return "Give the destination a new key, and test it"
    if facts.status in {"404", "405", "410"} or facts.status.startswith("3"):
        return "Check the destination's address, and test it"
    return "Look at the destination, and test it"


def _held(facts: Facts) -> str:
    if not facts.held or facts.held_until_us is None:
        return "nothing is held yet"
    return f"{_receipts(facts.held)} held until {moment(facts.held_until_us)}"


def _receipts(count: int) -> str:
    return "1 receipt is" if count == 1 else f"{count:,} receipts are"


def moment(at_us: int) -> str:
    """Return an instant to the minute, with its day and year."""
    at = _EPOCH + timedelta(microseconds=at_us)
    return f"{at.day} {at:%b %Y %H:%M} UTC"
