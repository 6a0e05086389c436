"""Figures: what a workspace's requests of a window come to, exact to the last receipt.

A window's whole hours and days come from the sums, its ragged ends and what has not been added up yet from
the receipts themselves, all in one read transaction: cards, charts, usage API and log agree. Of what no sums
are kept, the newest requests are counted one by one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, NamedTuple

from broadcast import tally
from broadcast.store import Conn, activity, facets, rollups, session_sums
from broadcast.store.activity import Only
from broadcast.store.periods import Stretch
from broadcast.tally import DAY_US, HOUR_US, FacetSums, Facts, Group, SessionSums, Tally

AT_MOST: Final = 5_000
"""Requests that are counted one by one."""

SESSION: Final = "session"
"""The facet that requests are always counted one by one for."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Requests that began in `[from_us, to_us)`; `step_us` is how finely time tells them apart."""

    from_us: int
    to_us: int
    step_us: int | None = None

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

    def count(self, found: Iterable[tuple[Group, Facts]]) -> None:
        """Count requests: each once, then what those of one group and step came to."""
        counted: defaultdict[tuple[Group, int], Tally] = defaultdict(Tally)
        for group, facts in found:
            counted[group, self._step(facts.created_at_us)].count(facts)
        for (group, at_us), sums in counted.items():
            self.add(at_us, group, sums)

    def add(self, at_us: int, group: Group, sums: Tally) -> None:
        """Count what a group came to in the period that begins at an instant."""
        self.by_group[group].add(sums)
        if self.window.step_us is not None:
            self.by_step[self._step(at_us), Kind(group.model, group.status)].add(sums)

    def _step(self, at_us: int) -> int:
        """Return the beginning of the step in which an instant lies."""
        return at_us - (at_us - self.window.from_us) % self.step_us

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


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The requests of a window that a filter lets through, one by one; `whole` says that these are all."""

    window: Window
    facts: tuple[Facts, ...]
    whole: bool

    def figures(self) -> Figures:
        """Return what they come to."""
        found = Figures(window=self.window)
        found.count((tally.group_of(facts), facts) for facts in self.facts)
        return found

    def by_facet(self, name: str) -> dict[str, FacetSums]:
        """Return what they come to by user, by session, or by a key of `trace`."""
        return _by_facet({}, self.facts, name)


class Reader:
    """Reads one workspace's figures in one transaction; what is not added up yet is read once."""

    def __init__(self, conn: Conn, workspace_id: int) -> None:
        self._conn = conn
        self._workspace_id = workspace_id

    def figures(self, window: Window, only: Mapping[str, str] | None = None) -> Figures:
        """Return a window's figures, of the requests whose groups have all the values of `only`."""
        wanted = only or {}
        found = Figures(window=window)
        for stretch in _whole(window):
            for at_us, group, sums in rollups.read(self._conn, self._workspace_id, stretch, wanted):
                found.add(at_us, group, sums)
        single = ((tally.group_of(facts), facts) for facts in self._single(window))
        if wanted:
            single = (
                (group, facts)
                for group, facts in single
                if all(getattr(group, name) == value for name, value in wanted.items())
            )
        found.count(single)
        return found

    def chosen(self, window: Window, only: Only) -> Chosen:
        """Return the newest `AT_MOST` requests of a window that a filter lets through."""
        inside = replace(only, from_us=window.from_us, to_us=window.to_us)
        documents = activity.documents(self._conn, self._workspace_id, inside, AT_MOST)
        facts = tuple(tally.facts_of(document for _, document in documents))
        return Chosen(window=window, facts=facts, whole=len(documents) < AT_MOST)

    def by_facet(self, window: Window, name: str) -> dict[str, FacetSums]:
        """Return the sums of a window by user, or by a key of `trace`."""
        found: dict[str, FacetSums] = {}
        for stretch in _whole(replace(window, step_us=None)):
            for value, sums in facets.read(self._conn, self._workspace_id, name, stretch).items():
                tally.put(found, value, sums)
        return _by_facet(found, self._single(window), name)

    def facet_names(self) -> list[str]:
        """Return what requests can be told apart by beyond their groups: `user`, and keys of `trace`."""
        fresh = {name for facts in self._fresh for name, _ in tally.facets_of(facts)}
        return sorted(fresh.union(facets.names(self._conn, self._workspace_id)) - {tally.UNTOLD})

    def sessions(self, before: tuple[int, str] | None, limit: int) -> list[tuple[str, SessionSums]]:
        """Return sessions, the one that was last in use first."""
        fresh: dict[str, SessionSums] = {}
        for facts in self._fresh:
            for session_id, sums in tally.session_of(facts):
                tally.put(fresh, session_id, sums)
        # As many more as may move up or down by what is fresh.
        known = dict(session_sums.read(self._conn, self._workspace_id, before, limit + len(fresh)))
        known |= session_sums.named(self._conn, self._workspace_id, fresh.keys() - known.keys())
        for session_id, sums in fresh.items():
            tally.put(known, session_id, sums)
        ordered = sorted(known.items(), key=lambda item: (item[1].last_at_us, item[0]), reverse=True)
        return [item for item in ordered if before is None or (item[1].last_at_us, item[0]) < before][:limit]

    # -- receipts that no sum of the window has ------------------------------------------------------

    def _single(self, window: Window) -> Iterator[Facts]:
        """Yield the requests of a window's ragged ends, and those that are not added up."""
        first, last = _inside(window, HOUR_US)
        whole = first < last
        ends = [(window.from_us, first), (last, window.to_us)] if whole else [(window.from_us, window.to_us)]
        for from_us, to_us in ends:
            if from_us < to_us:
                yield from tally.facts_of(
                    rollups.documents_within(self._conn, self._workspace_id, from_us, to_us, self._rolled_seq)
                )
        yield from (facts for facts in self._fresh if window.holds(facts.created_at_us))

    @cached_property
    def _rolled_seq(self) -> int:
        return rollups.place(self._conn, self._workspace_id)

    @cached_property
    def _fresh(self) -> tuple[Facts, ...]:
        """What has not been added up yet."""
        fresh = rollups.documents_after(self._conn, self._workspace_id, self._rolled_seq)
        return tuple(tally.facts_of(document for _, document in fresh))


def _by_facet(found: dict[str, FacetSums], facts: Iterable[Facts], name: str) -> dict[str, FacetSums]:
    for each in facts:
        for its_name, value in (*tally.facets_of(each), *_session_of(each)):
            if its_name == name:
                tally.put(found, value, tally.sums_of(each))
    return found


def _session_of(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the session as a facet; no sums of a window are kept by it, for sessions have no end."""
    yield from ((SESSION, name) for name, _ in tally.session_of(facts))


# -- which sums ------------------------------------------------------------------------------------


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
