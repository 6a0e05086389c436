"""What the Activity page asks: a window, some filters, and what the requests in it come to."""

from dataclasses import dataclass, fields
from typing import Final, Literal

from broadcast.figures import SESSION, Figures, Reader, Window
from broadcast.store import Store, rollups
from broadcast.store.activity import Only
from broadcast.store.workspaces import Workspace
from broadcast.tally import DAY_US, HOUR_US, FacetSums, SessionSums, Tally

Length = Literal["day", "week", "month", "all"]
LENGTHS: Final[tuple[Length, ...]] = ("day", "week", "month", "all")
_WEEK_STEP_US: Final = 6 * HOUR_US
_MOST_DAYS: Final = 92
_SUMMED: Final = {
    "model": "model",
    "provider_name": "provider",
    "api_key_name": "api_key_name",
    "status": "status",
}
"""The filters that sums are kept by, as the groups call them."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A window's figures; `before` those of as long a time before.

    `whole` and `whole_by_facet` say whether everything was counted, or the newest requests alone.
    """

    figures: Figures
    before: Tally | None
    whole: bool
    whole_by_facet: bool
    facets: tuple[str, ...]
    by_facet: dict[str, FacetSums]


def window_of(length: Length, now_us: int, first_us: int | None) -> Window:
    """Return the window that ends with the step that goes on now; all time begins with the first day."""
    if length == "day":
        return _ending(now_us, HOUR_US, 24)
    if length == "week":
        return _ending(now_us, _WEEK_STEP_US, 28)
    if length == "month":
        return _ending(now_us, DAY_US, 30)
    days = 1 + (now_us // DAY_US - first_us // DAY_US if first_us is not None else 0)
    step_days = -(-days // _MOST_DAYS)
    return _ending(now_us, step_days * DAY_US, -(-days // step_days))


def _ending(now_us: int, step_us: int, steps: int) -> Window:
    # Days begin where days of UTC do, whatever the step, so that the sums of days can be used.
    unit_us = min(step_us, DAY_US)
    to_us = now_us - now_us % unit_us + unit_us
    return Window(from_us=to_us - steps * step_us, to_us=to_us, step_us=step_us)


def look(
    store: Store, workspace: Workspace, length: Length, only: Only, *, facet: str | None, now_us: int
) -> Overview:
    """Return the overview of a window, of the requests that a filter lets through."""
    with store.read() as conn:
        reader = Reader(conn, workspace.id)
        window = window_of(length, now_us, rollups.first_at_us(conn, workspace.id))
        summed = _summed(only)
        # Sums of a facet know nothing of the other filters, and those of a session nothing of a window.
        is_single = summed is None or (facet is not None and (bool(summed) or facet == SESSION))
        chosen = reader.chosen(window, only) if is_single else None
        found = chosen.figures() if chosen and summed is None else reader.figures(window, summed)
        by_facet = (
            {} if facet is None else chosen.by_facet(facet) if chosen else reader.by_facet(window, facet)
        )
        whole = summed is not None or chosen is None or chosen.whole
        return Overview(
            figures=found,
            before=_before(reader, window, only, now_us) if whole and length != "all" else None,
            whole=whole,
            whole_by_facet=chosen is None or chosen.whole,
            facets=tuple(reader.facet_names()),
            by_facet=by_facet,
        )


def _before(reader: Reader, window: Window, only: Only, now_us: int) -> Tally | None:
    """Return the sums of the window before, of as much of it as has passed; None where it was cut."""
    begin_us = 2 * window.from_us - window.to_us
    earlier = Window(from_us=begin_us, to_us=begin_us + min(now_us, window.to_us) - window.from_us)
    summed = _summed(only)
    if summed is not None:
        return reader.figures(earlier, summed).total()
    chosen = reader.chosen(earlier, only)
    return chosen.figures().total() if chosen.whole else None


def _summed(only: Only) -> dict[str, str] | None:
    """Return the filters as the groups of sums call them, None where sums do not tell these apart."""
    given = {item.name: getattr(only, item.name) for item in fields(only)}
    given = {name: value for name, value in given.items() if value is not None}
    if given.keys() <= _SUMMED.keys():
        return {_SUMMED[name]: value for name, value in given.items()}
    return None


def sessions_page(
    store: Store, workspace: Workspace, before: tuple[int, str] | None, limit: int
) -> tuple[list[tuple[str, SessionSums]], tuple[int, str] | None]:
    """Return sessions, the one that was last in use first, and where older ones begin."""
    with store.read() as conn:
        found = Reader(conn, workspace.id).sessions(before, limit + 1)
    shown = found[:limit]
    older = (shown[-1][1].last_at_us, shown[-1][0]) if len(found) > limit else None
    return shown, older
