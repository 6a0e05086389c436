"""The attempts log of a destination's page: its filters, its pages, and equal tries in a row as one line."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import request

from broadcast.destination import Verdict
from broadcast.store.destinations import StoredDestination
from web import formats, security
from web.pages.problem import spoken
from web.pages.trail import trail

PAGE: Final = 50
TIMES: Final = (
    ("hour", "Last hour", 3_600_000_000),
    ("day", "Last 24 h", 86_400_000_000),
    ("week", "Last 7 days", 7 * 86_400_000_000),
)
VERDICTS: Final = tuple(verdict.value for verdict in Verdict)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What of the log is wanted, as the address of the page says it; what it cannot read is not wanted."""

    verdict: str | None = None
    last: str | None = None
    seq: int | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is left out."""
        return bool(self.verdict or self.last or self.seq)

    def address(self) -> dict[str, Any]:
        """Return the address's parameters."""
        values = {"verdict": self.verdict, "last": self.last, "seq": self.seq}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the log: the newest of `times` equal attempts in a row."""

    uid: str
    at_us: int
    from_seq: int
    to_seq: int
    count: int
    verdict: str
    times: int
    settled: bool
    delivered: int
    skipped: int
    rejected: int
    status_code: int | None
    duration_ms: float
    bytes: int
    reason: str
    replay: bool


@dataclass(frozen=True, kw_only=True)
class Log:
    """One page of the log; `newer`, `older` and `here` are the parameters of its links and of itself."""

    lines: tuple[Line, ...]
    newer: dict[str, Any] | None
    older: dict[str, Any] | None
    here: dict[str, Any]


def wanted() -> Filter:
    """Return the filter that this request's address asks for."""
    args = request.args
    verdict, last = args.get("verdict"), args.get("last")
    seq = args.get("seq", type=int)
    return Filter(
        verdict=verdict if verdict in VERDICTS else None,
        last=last if last in {word for word, _, _ in TIMES} else None,
        seq=seq if seq is not None and 0 < seq < 2**62 else None,
    )


def log_of(stored: StoredDestination, asked: Filter, now_us: int) -> Log:
    """Return the page of the log that is asked for; a mark that is not ours means the newest page."""
    services, viewer = security.services(), security.viewer()
    length_us = next((length for word, _, length in TIMES if word == asked.last), None)

    def read(mark: str | None) -> dict[str, Any]:
        return services.connections.attempts(
            viewer.workspace,
            stored.uid,
            limit=PAGE,
            cursor=mark,
            verdict=asked.verdict,
            from_us=None if length_us is None else now_us - length_us,
            seq=asked.seq,
        )

    found, place = trail().read(read)
    newer, older = place.newer(), place.older(found["next_cursor"])
    return Log(
        lines=folded(found["data"]),
        newer=None if newer is None else asked.address() | newer,
        older=None if older is None else asked.address() | older,
        here=asked.address() | place.here(),
    )


def folded(attempts: Iterable[Mapping[str, Any]]) -> tuple[Line, ...]:
    """Return attempts as lines; those in a row that settled nothing and said the same are one."""
    runs = (list(run) for _, run in itertools.groupby(attempts, key=_alike))
    return tuple(_line(run[0], len(run)) for run in runs)


def _settled(attempt: Mapping[str, Any]) -> int:
    return int(attempt["delivered"]) + int(attempt["skipped"]) + int(attempt["rejected"])


def _alike(attempt: Mapping[str, Any]) -> tuple[Any, ...]:
    if _settled(attempt):
        return (attempt["id"],)
    return attempt["verdict"], attempt["status_code"], attempt["reason"], attempt["replay_id"]


def _line(attempt: Mapping[str, Any], times: int) -> Line:
    return Line(
        uid=attempt["id"],
        at_us=formats.instant(attempt["at"]),
        from_seq=attempt["from_seq"],
        to_seq=attempt["to_seq"],
        count=attempt["count"],
        verdict=attempt["verdict"],
        times=times,
        settled=_settled(attempt) > 0,
        delivered=attempt["delivered"],
        skipped=attempt["skipped"],
        rejected=attempt["rejected"],
        status_code=attempt["status_code"],
        duration_ms=attempt["duration_ms"],
        bytes=attempt["bytes"],
        reason="" if attempt["verdict"] == "delivered" else spoken(attempt["reason"]),
        replay=bool(attempt["replay_id"]),
    )
