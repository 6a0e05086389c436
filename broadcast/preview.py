"""What a replay would send, counted and weighed before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broadcast import filters, sampling
from broadcast.destination import Destination
from broadcast.fates import Fate
from broadcast.receipt_parser import from_document
from broadcast.selection import Selection, undelivered
from broadcast.store import Conn, selections
from broadcast.store.destinations import StoredDestination
from broadcast.store.replays import Source
from broadcast.store.selections import Looked
from broadcast.times import rfc3339_or_none

SAMPLE: Final = 2_000
"""So many receipts are looked at one by one; of more, these speak for the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """`to_send` of `receipts` would be sent today; `estimated` where a sample speaks for all of them.

    `bytes` is the size of the stored receipts and of the contents that are still kept, before compression.
    """

    source: Source
    receipts: int
    waiting: int
    gone: int
    already_delivered: int
    sampled_out: int
    filtered: int
    expired: int
    to_send: int
    bytes: int
    without_content: int
    estimated: bool
    from_seq: int | None
    to_seq: int | None
    from_at_us: int | None
    to_at_us: int | None
    kept_since_us: int | None
    include_delivered: bool

    @property
    def message(self) -> str:
        """Return what to expect, in sentences."""
        parts = [
            _counted(self.already_delivered, "was delivered before", "were delivered before")
            + ("" if self.include_delivered else " and left out"),
            _counted(self.sampled_out, "is not in today's sample", "are not in today's sample"),
            _counted(self.filtered, "is left out by today's filters", "are left out by today's filters"),
            _counted(
                self.expired, "is older than the destination takes", "are older than the destination takes"
            ),
            _counted(self.waiting, "waits for its first delivery", "wait for their first delivery"),
            _counted(self.gone, "is no longer kept", "are no longer kept"),
            _counted(self.without_content, "goes without its content", "go without their content"),
        ]
        said = [part for part in parts if not part.startswith("0 ")]
        words = "; ".join(said) + "." if said else "Nothing is left out."
        return words + " Filters and sampling are those of the moment of sending."

    def view(self) -> dict[str, Any]:
        """Return the preview as the API says it."""
        return {
            "source": self.source,
            "receipts": self.receipts,
            "waiting": self.waiting,
            "gone": self.gone,
            "already_delivered": self.already_delivered,
            "sampled_out": self.sampled_out,
            "filtered": self.filtered,
            "expired": self.expired,
            "to_send": self.to_send,
            "bytes": self.bytes,
            "without_content": self.without_content,
            "estimated": self.estimated,
            "from_seq": self.from_seq,
            "to_seq": self.to_seq,
            "from_at": rfc3339_or_none(self.from_at_us),
            "to_at": rfc3339_or_none(self.to_at_us),
            "kept_since": rfc3339_or_none(self.kept_since_us),
            "include_delivered": self.include_delivered,
            "message": self.message,
        }


def preview(
    conn: Conn,
    stored: StoredDestination,
    kind: type[Destination] | None,
    selection: Selection,
    *,
    now_us: int,
) -> Preview:
    """Count and weigh a selection against what was delivered, and against today's settings."""
    new = undelivered(conn, stored.id, selection.runs)
    chosen = selection.runs if selection.include_delivered else new
    looked = tuple(selections.look(conn, stored.workspace_id, chosen.evenly(SAMPLE)))
    judged = [_judged(stored, kind, each, now_us) for each in looked]
    sent = [each for each, fate in zip(looked, judged, strict=True) if fate is None]
    share = len(chosen) / len(looked) if looked else 0
    counted = {fate: round(judged.count(fate) * share) for fate in Fate}
    times = [each.created_at_us for each in looked]
    left_out = counted[Fate.SAMPLED_OUT] + counted[Fate.FILTERED] + counted[Fate.EXPIRED]
    bare = stored.privacy_level != "metadata"
    return Preview(
        source=selection.source,
        receipts=len(selection.runs) + selection.waiting + selection.gone,
        waiting=selection.waiting,
        gone=selection.gone,
        already_delivered=len(selection.runs) - len(new),
        sampled_out=counted[Fate.SAMPLED_OUT],
        filtered=counted[Fate.FILTERED],
        expired=counted[Fate.EXPIRED],
        to_send=max(0, len(chosen) - left_out),
        bytes=round(sum(_size(each, content=bare) for each in sent) * share),
        without_content=round(sum(bare and _lost(each) for each in sent) * share),
        estimated=len(looked) < len(chosen),
        from_seq=chosen[0] if chosen else None,
        to_seq=chosen[-1] if chosen else None,
        from_at_us=min(times, default=None),
        to_at_us=max(times, default=None),
        kept_since_us=selections.oldest_at_us(conn, stored.workspace_id),
        include_delivered=selection.include_delivered,
    )


def _judged(
    stored: StoredDestination, kind: type[Destination] | None, looked: Looked, now_us: int
) -> Fate | None:
    """Return what would become of a receipt today, None where it would be sent.

    Rules about content are left to the moment of sending: the content may be gone, and here it stays sealed.
    """
    max_age_s = kind.max_age_s if kind is not None else None
    if max_age_s is not None and looked.created_at_us < now_us - max_age_s * 1_000_000:
        return Fate.EXPIRED
    receipt = from_document(looked.document)
    rules: Mapping[str, Any] | None = stored.filter_rules
    wanted = filters.decide(
        receipt,
        api_key_hashes=stored.api_key_hashes,
        excluded_api_key_hashes=stored.excluded_api_key_hashes,
        filter_rules=None if filters.needs_content(rules) else rules,
        regions=stored.regions,
    )
    if not wanted:
        return Fate.FILTERED
    kept = sampling.keep(stored.uid, receipt, stored.sampling_rate, stored.sampler)
    return None if kept else Fate.SAMPLED_OUT


def _size(looked: Looked, *, content: bool) -> int:
    return len(looked.document) + (looked.content_bytes or 0 if content else 0)


def _lost(looked: Looked) -> bool:
    return looked.has_content and looked.content_bytes is None


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
