"""How a destination's metrics are doing: for its page, the API and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broadcast.fields import metrics_every_s
from broadcast.series import LIMIT, OTHER
from broadcast.store import Conn, metrics
from broadcast.store.destinations import StoredDestination
from broadcast.store.metrics import MetricPlace
from broadcast.times import rfc3339, rfc3339_or_none


@dataclass(frozen=True, kw_only=True)
class MetricStatus:
    """How far metrics are counted, how many series they are, and when they were sent.

    `other_requests` are counted in the one series for all labels that came after the limit was reached.
    """

    place: MetricPlace
    series: int
    other_requests: int
    limit: int = LIMIT

    @property
    def words(self) -> str:
        """Return how many series there are, in words."""
        return cardinality(self.view())

    def view(self) -> dict[str, Any]:
        """Return the API's object; the last error stays, with its time, after a success."""
        place = self.place
        error = None
        if place.last_error_at_us is not None:
            error = {
                "at": rfc3339(place.last_error_at_us),
                "status_code": place.last_error_status_code,
                "reason": place.last_error_reason,
            }
        return {
            "every_s": place.every_s,
            "since": rfc3339(place.since_at_us),
            "counted_to": place.counted_seq,
            "series": self.series,
            "series_limit": self.limit,
            "other_requests": self.other_requests,
            "last_sent_at": rfc3339_or_none(place.last_sent_at_us),
            "last_error": error,
            "next_at": rfc3339(place.due_at_us),
        }


def of(conn: Conn, stored: StoredDestination) -> MetricStatus | None:
    """Return how a destination's metrics are doing, None where they are off."""
    # Most have none, and are asked no further.
    place = None if metrics_every_s(stored.config) is None else metrics.get(conn, stored.id)
    if place is None:
        return None
    other = metrics.known(conn, stored.id, (OTHER.key,))
    return MetricStatus(
        place=place,
        series=metrics.count(conn, stored.id),
        other_requests=sum(one.requests for one in other),
    )


def cardinality(view: Mapping[str, Any]) -> str:
    """Return how many series there are, and what became of the requests that found none of their own."""
    words = f"{view['series']:,} of {view['series_limit']:,} series"
    other: int = view["other_requests"]
    if not other:
        return words
    counted = "1 request with other labels is" if other == 1 else f"{other:,} requests with other labels are"
    return f"{words}; {counted} counted together, in the series marked otel.metric.overflow"
