"""Settings > Observability: the switch, what is configured and how it does, and what could be added."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from broadcast import activity
from broadcast.destination import Destination
from broadcast.metric_status import MetricStatus
from broadcast.shelf import Listed
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from web import formats, security, zones
from web.pages.problem import Answer, Problem, answer_of, problem_of

blueprint: Final = Blueprint("observability", __name__)
_DAY_US: Final = 86_400_000_000
_LEAST_GAP: Final = 1.3
_ORDER: Final = ("retrying", "throttled", "catching_up", "paused", "delivering", "off")
CATEGORIES: Final = (
    ("tracing", "Tracing and APM"),
    ("llm", "LLM platforms"),
    ("storage", "Storage, warehouses, your own code"),
)
_LEVELS: Final = {
    "metadata": "Metadata only",
    "hashed": "Hashed content",
    "redacted": "Redacted content",
    "full": "Full content",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A configured destination as the list shows it."""

    stored: StoredDestination
    cursor: Cursor | None
    type: type[Destination] | None
    state: str
    paused_by: str | None
    since: str
    detail: str
    trying: bool
    answer: Answer | None
    pending: int
    waiting_words: str
    behind_us: int
    held_until_us: int | None
    cursor_percent: float
    gap_percent: float
    level: str
    gets: str
    problem: Problem | None
    metrics: MetricStatus | None


@blueprint.get("/w/<slug>/settings/observability")
@security.page()
def page() -> str:
    """Show what is broken first, then who is behind, then the catalogue."""
    rows = rows_of()
    counted = Counter(row.state for row in rows)
    return render_template(
        "observability.html",
        here="observability",
        viewer=security.viewer(),
        rows=rows,
        counted=[(word, counted[word]) for word in _ORDER if counted[word]],
        head=activity.head_seq(security.services().store, security.viewer().workspace),
        catalogue=_catalogue(),
    )


@blueprint.post("/w/<slug>/settings/observability/switch")
@security.page("admin")
def switch() -> ResponseReturnValue:
    """Switch Broadcast for the workspace."""
    services, viewer = security.services(), security.viewer()
    enabled = request.form.get("enabled") == "on"
    services.connections.set_broadcast(viewer.workspace, viewer.user.id, enabled, now_us=services.clock())
    # That it is off stands on the page itself.
    return security.flash(_back(), "on") if enabled else _back()


def _back() -> Response:
    return redirect(url_for("observability.page", slug=security.viewer().workspace.slug), 303)


def rows_of() -> list[Row]:
    """Return every destination of the workspace, problems first, what is off last."""
    services, viewer = security.services(), security.viewer()
    now_us = services.clock()
    listed = services.connections.overview(viewer.workspace, now_us=now_us)
    rows = [row_of(found, now_us) for found in listed]
    return sorted(rows, key=_urgency)


def _urgency(row: Row) -> tuple[int, int]:
    """Return what sorts first: who waits for a person, who fails for long, then the others."""
    problem = 2 if row.problem is None else 0 if row.problem.paused else 1
    return problem, _ORDER.index(row.state)


def row_of(found: Listed, now_us: int) -> Row:
    """Return one destination as the list and its own page show it."""
    services = security.services()
    stored, state = found.stored, found.state
    behind_us = round(state.behind_s * 1_000_000)
    gap = min(100.0, max(_LEAST_GAP, 100 * behind_us / _DAY_US)) if state.backlog else 0.0
    return Row(
        stored=stored,
        cursor=found.cursor,
        type=services.types.get(stored.type),
        state=state.word,
        paused_by=state.paused_by,
        since=_since(found, now_us),
        detail=_detail(found, now_us),
        trying=state.next_try_at_us is not None,
        answer=answer_of(state.reason) if state.next_try_at_us is not None and state.reason else None,
        pending=state.backlog,
        waiting_words=_waiting(state.word, state.backlog),
        behind_us=behind_us,
        held_until_us=state.held_until_us,
        cursor_percent=round(100 - gap, 2),
        gap_percent=round(gap, 2),
        level=_LEVELS[stored.privacy_level],
        gets=gets(stored),
        problem=problem_of(
            found,
            services.types.get(stored.type),
            retention_us=services.config.retention_us,
            content_ttl_us=services.config.content_ttl_us,
            now_us=now_us,
        ),
        metrics=found.metrics,
    )


def _waiting(state: str, backlog: int) -> str:
    if state == "off":
        return "Nothing is held while off"
    return f"{formats.count(backlog)} {'held' if state == 'paused' else 'waiting'}"


def gets(stored: StoredDestination) -> str:
    """Return which receipts a destination gets."""
    words = ["All" if stored.sampling_rate >= 1 else f"{formats.rate(stored.sampling_rate)} of sessions"]
    groups = len((stored.filter_rules or {}).get("groups", []))
    if groups:
        words.append(formats.plural(groups, "rule group"))
    if stored.api_key_hashes:
        words.append(f"{formats.plural(len(stored.api_key_hashes), 'key')} only")
    if stored.excluded_api_key_hashes:
        words.append(f"{formats.plural(len(stored.excluded_api_key_hashes), 'key')} excluded")
    if stored.origin == "operator":
        words.append("set by the operator")
    return " · ".join(words)


def _since(found: Listed, now_us: int) -> str:
    """Return since when a destination is paused or off, empty for one that sends."""
    state = found.state
    if state.word not in {"paused", "off"} or state.since_at_us is None:
        return ""
    return formats.since(state.since_at_us, now_us, zones.zone())


def _detail(found: Listed, now_us: int) -> str:
    """Return what a state means just now: the answer and the next try, else the last delivery."""
    state, cursor = found.state, found.cursor
    if state.next_try_at_us is not None:
        status = f"{cursor.last_status_code}, " if cursor and cursor.last_status_code else ""
        wait_us = state.next_try_at_us - now_us
        return f"{status}next try in {formats.wait(wait_us)}" if wait_us > 0 else f"{status}trying now"
    if state.word in {"paused", "off"}:
        return ""
    if cursor is None or cursor.last_delivered_at_us is None:
        rejected = cursor.rejected if cursor else 0
        return f"none delivered yet, {rejected:,} rejected" if rejected else "nothing sent yet"
    return f"last {formats.ago(cursor.last_delivered_at_us, now_us, zones.zone())}"


def _catalogue() -> list[tuple[str, list[tuple[str, type[Destination], str]]]]:
    """Return the types by category, each with what it needs, from its declaration."""
    types = sorted(security.services().types.items(), key=lambda item: item[1].title.casefold())
    shelves = []
    for category, title in CATEGORIES:
        shelf = [
            (slug, kind, ", ".join(spec.label for spec in kind.specs() if spec.required))
            for slug, kind in types
            if kind.category == category
        ]
        if shelf:
            shelves.append((title, shelf))
    return shelves
