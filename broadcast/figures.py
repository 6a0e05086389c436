"""Figures: what a workspace's requests of a window come to, exact to the last receipt.

A window's whole hours and days come from the sums, its ragged ends and what has not been added up yet from
the receipts themselves, all in one read transaction: cards, charts, usage API and log agree.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from broadcast import tally
from broadcast.store import Conn, activity, rollups
from broadcast.store.activity import Only
from broadcast.store.rollups import Stretch
from broadcast.tally import DAY_US, HOUR_US, FacetSums, Facts, Group, SessionSums, Tally

AT_MOST: Final = 20_000
"""Requests that are counted one by one."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Requests that began in `[from_us, to_us)`; `step_us` is how finely time tells them apart."""

    from_us: int
    to_us: int
    step_us: int | None = None

    @property
    def before(self) -> "Window":
        """The window of the same length before this one."""
        return Window(from_us=2 * self.from_us - self.to_us, to_us=self.from_us, step_us=self.step_us)

    def holds(self, at_us: int) -> bool:
        """Whether an instant lies in this window."""
        return self.from_us <= at_us < self.to_us


class Kind(NamedTuple):
    """What requests are told apart by over time."""

    model: str
    status: str


@dataclass(kw_only=True)
class Figures:
    """Sums of a window: by group, and by step, model and status."""

    window: Window
    by_group: defaultdict[Group, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_step: defaultdict[tuple[int, Kind], Tally] = field(default_factory=lambda: defaultdict(Tally))

    def add(self, at_us: int, group: Group, sums: Tally) -> None:
        """Count what a group came to in the period that begins at an instant."""
        self.by_group[group].add(sums)
        if self.window.step_us is not None:
            step = at_us - (at_us - self.window.from_us) % self.window.step_us
            self.by_step[step, Kind(group.model, group.status)].add(sums)

    @property
    def step_us(self) -> int:
        """The length of a step; the whole window where time tells nothing apart."""
        return self.window.step_us or self.window.to_us - self.window.from_us

    def total(self) -> Tally:
        """Return the sums of everything."""
        return _sum(self.by_group.values())

    def by(self, name: str) -> dict[str, Tally]:
        """Return the sums by a field of the groups; a request counts for each of its `capabilities`."""
        found: defaultdict[str, Tally] = defaultdict(Tally)
        for group, sums in self.by_group.items():
            value: str = getattr(group, name)
            for each in value.split(",") if name == "capabilities" else (value,):
                found[each].add(sums)
        return dict(found)

    def steps(self) -> list[int]:
        """Return the beginning of every step, of those without a request too."""
        return list(range(self.window.from_us, self.window.to_us, self.step_us))

    def over_time(self, name: Callable[[Kind], str]) -> dict[str, dict[int, Tally]]:
        """Return the sums by step, under a name for each kind of request."""
        found: defaultdict[str, defaultdict[int, Tally]] = defaultdict(lambda: defaultdict(Tally))
        for (at_us, kind), sums in self.by_step.items():
            found[name(kind)][at_us].add(sums)
        return {name: dict(sums) for name, sums in found.items()}


def _sum(found: Iterable[Tally]) -> Tally:
    made = Tally()
    for sums in found:
        made.add(sums)
    return made


def read(conn: Conn, workspace_id: int, window: Window, only: Mapping[str, str] | None = None) -> Figures:
    """Return a window's figures, of the requests whose groups have all the values of `only`."""
    wanted = only or {}
    found = Figures(window=window)
    for stretch in _whole(window):
        for at_us, group, sums in rollups.read(conn, workspace_id, stretch, wanted):
            found.add(at_us, group, sums)
    for facts in _single(conn, workspace_id, window):
        group = tally.group_of(facts)
        if all(getattr(group, name) == value for name, value in wanted.items()):
            sums = Tally()
            sums.count(facts)
            found.add(facts.created_at_us, group, sums)
    return found


def read_some(conn: Conn, workspace_id: int, window: Window, only: Only) -> tuple[Figures, bool]:
    """Return the figures of some requests, counted one by one, and whether that were all of them.

    For what no sums are kept of; the newest `AT_MOST` of a window are counted.
    """
    found = Figures(window=window)
    inside = replace(only, from_us=window.from_us, to_us=window.to_us)
    documents = activity.documents(conn, workspace_id, inside, AT_MOST)
    for facts in tally.facts_of(documents):
        sums = Tally()
        sums.count(facts)
        found.add(facts.created_at_us, tally.group_of(facts), sums)
    return found, len(documents) < AT_MOST


def by_facet(conn: Conn, workspace_id: int, window: Window, name: str) -> dict[str, FacetSums]:
    """Return the sums of a window by user, or by a key of `trace`."""
    found: dict[str, FacetSums] = {}

    def add(value: str, sums: FacetSums) -> None:
        found[value] = sums if value not in found else found[value].plus(sums)

    for stretch in _whole(replace(window, step_us=None)):
        for value, sums in rollups.read_facets(conn, workspace_id, name, stretch).items():
            add(value, sums)
    for facts in _single(conn, workspace_id, window):
        for its_name, value in tally.facets_of(facts):
            if its_name == name:
                add(value, tally.sums_of(facts))
    return found


def facet_names(conn: Conn, workspace_id: int) -> list[str]:
    """Return what requests can be told apart by beyond their groups: `user`, and keys of `trace`."""
    fresh = {name for facts in _fresh(conn, workspace_id) for name, _ in tally.facets_of(facts)}
    return sorted(fresh.union(rollups.facet_names(conn, workspace_id)))


def sessions(
    conn: Conn, workspace_id: int, before: tuple[int, str] | None, limit: int
) -> list[tuple[str, SessionSums]]:
    """Return sessions, the one that was last in use first."""
    fresh = _fresh_sessions(conn, workspace_id)
    known = dict(rollups.read_sessions(conn, workspace_id, before, limit + len(fresh)))
    known |= rollups.sessions_named(conn, workspace_id, fresh.keys() - known.keys())
    for session_id, sums in fresh.items():
        known[session_id] = known[session_id].plus(sums) if session_id in known else sums
    ordered = sorted(known.items(), key=lambda item: (item[1].last_at_us, item[0]), reverse=True)
    return [item for item in ordered if before is None or (item[1].last_at_us, item[0]) < before][:limit]


def _fresh_sessions(conn: Conn, workspace_id: int) -> dict[str, SessionSums]:
    found: dict[str, SessionSums] = {}
    for facts in _fresh(conn, workspace_id):
        for session_id, sums in tally.session_of(facts):
            found[session_id] = found[session_id].plus(sums) if session_id in found else sums
    return found


# -- which sums, which receipts ------------------------------------------------------------------------------


def _whole(window: Window) -> Iterator[Stretch]:
    """Yield the whole periods inside a window: days where no step is shorter than one, hours around them."""
    first, last = _inside(window, HOUR_US)
    first_day, last_day = _inside(window, DAY_US)
    steps_are_days = window.step_us is None or (window.step_us % DAY_US == 0 and window.from_us == first_day)
    if steps_are_days and first_day < last_day:
        yield Stretch(24, first_day, last_day)
        yield from (
            Stretch(1, *hours) for hours in ((first, first_day), (last_day, last)) if hours[0] < hours[1]
        )
    elif first < last:
        yield Stretch(1, first, last)


def _inside(window: Window, length_us: int) -> tuple[int, int]:
    """Return the first and the last boundary of periods of a length inside a window."""
    return -(-window.from_us // length_us) * length_us, window.to_us // length_us * length_us


def _single(conn: Conn, workspace_id: int, window: Window) -> Iterator[Facts]:
    """Yield the requests of a window that no whole period has: its ragged ends, and what is not added up."""
    first, last = _inside(window, HOUR_US)
    ends = (
        [(window.from_us, first), (last, window.to_us)] if first < last else [(window.from_us, window.to_us)]
    )
    rolled_seq = rollups.place(conn, workspace_id)
    for from_us, to_us in ends:
        if from_us < to_us:
            yield from tally.facts_of(
                rollups.documents_within(conn, workspace_id, from_us, to_us, rolled_seq)
            )
    for facts in _fresh(conn, workspace_id):
        if window.holds(facts.created_at_us):
            yield facts


def _fresh(conn: Conn, workspace_id: int) -> Iterator[Facts]:
    """Yield what has not been added up yet."""
    fresh = rollups.documents_after(conn, workspace_id, rollups.place(conn, workspace_id))
    return tally.facts_of(document for _, document in fresh)
