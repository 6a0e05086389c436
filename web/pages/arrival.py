"""The Delivery section of a request's page: did it arrive at each destination, when, and why not."""

from dataclasses import dataclass
from typing import Any, Final

from broadcast.shelf import Listed
from broadcast.store.receipts import ReceiptRow
from web import formats, security, zones
from web.pages.observability import row_of
from web.pages.problem import Problem, answer_of

_HINTED: Final = {"held", "waiting"}
_AGAIN: Final = {"delivered", "rejected", "expired", "sampled_out", "filtered"}


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What became of one request at one destination."""

    uid: str
    name: str
    type: str
    fate: str
    by_person: bool
    at_us: int | None
    later_us: int | None
    when: str
    happened: str
    attempted: bool
    trace_url: str | None
    may_send: bool
    problem: Problem | None


def arrivals(row: ReceiptRow, now_us: int) -> list[Arrival]:
    """Return what became of a receipt at each destination, what needs a person first."""
    services, viewer = security.services(), security.viewer()
    states = {
        item.stored.uid: item for item in services.connections.overview(viewer.workspace, now_us=now_us)
    }
    told = services.connections.delivery(viewer.workspace, row)
    found = [_arrival(entry, states[entry["destination_id"]], row, now_us) for entry in told]
    return sorted(found, key=lambda item: item.name.casefold())


def _arrival(entry: dict[str, Any], listed: Listed, row: ReceiptRow, now_us: int) -> Arrival:
    fate = entry["fate"]
    at_us = formats.instant(entry["at"]) if entry["at"] else None
    return Arrival(
        uid=entry["destination_id"],
        name=entry["name"],
        type=entry["type"],
        fate=fate,
        by_person=fate == "held" and listed.stored.paused_by == "person",
        at_us=at_us,
        later_us=None if at_us is None or at_us < row.received_at_us else at_us - row.received_at_us,
        when=_when(fate, listed, row),
        happened=_happened(entry, listed, row, now_us),
        attempted=entry["attempt_id"] is not None or fate == "waiting",
        trace_url=entry["trace_url"] if fate == "delivered" else None,
        may_send=fate in _AGAIN and listed.state.word != "off",
        problem=row_of(listed, now_us).problem if fate == "held" else None,
    )


def _when(fate: str, listed: Listed, row: ReceiptRow) -> str:
    """Return the place in the queue of what waits, since when of what is held."""
    if fate not in _HINTED or listed.cursor is None or row.seq <= listed.cursor.cursor_seq:
        return ""
    before = row.seq - listed.cursor.cursor_seq - 1
    return "next in line" if before == 0 else f"{formats.plural(before, 'receipt')} before it"


def _happened(entry: dict[str, Any], listed: Listed, row: ReceiptRow, now_us: int) -> str:
    zone, stored, state = zones.zone(), listed.stored, listed.state
    if entry["fate"] == "held":
        config = security.services().config
        why = "Paused by a person"
        if stored.paused_by == "answer":
            answer = answer_of(stored.pause_reason or "")
            why = f"Paused: {answer.called}" if answer.called else "Paused"
        begun = formats.since(stored.paused_at_us, now_us, zone) if stored.paused_at_us else ""
        until = formats.clock(row.received_at_us + config.retention_us, now_us, zone)
        content = ""
        if row.has_content and stored.privacy_level != "metadata":
            content = (
                f"; content until {formats.clock(row.received_at_us + config.content_ttl_us, now_us, zone)}"
            )
        return f"{why} {begun}. Held until {until}{content}."
    if entry["fate"] == "waiting" and state.next_try_at_us is not None and state.reason:
        wait_us = state.next_try_at_us - now_us
        again = "trying now" if wait_us <= 0 else f"next try in {formats.wait(wait_us)}"
        return f"{answer_of(state.reason).called}, {again}."
    if entry["fate"] == "delivered":
        return _accepted(entry["reason"] or "")
    return _plain(entry["reason"] or "")


def _accepted(reason: str) -> str:
    """Return why a receipt counts as delivered; its batch as a whole may have been answered otherwise."""
    answer = answer_of(reason)
    if answer.status is not None and answer.status >= 300:
        return f"Accepted apart from its batch, which was answered {answer.called}."
    return _plain(reason)


def _plain(reason: str) -> str:
    """Return a reason with the destination's own words in quotes, not as its document."""
    head, _, said = reason.rpartition("by a replay: ")
    answer = answer_of(said)
    if answer.status is None:
        return reason
    words = f"{answer.called}: \u201c{answer.said}\u201d" if answer.said else answer.called
    return f"{head}by a replay: {words}" if head else words
