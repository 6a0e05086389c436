"""The audit log in words: none of its actions is left as a name of ours."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.store.audit import Entry
from web import audit_words

BROADCAST = Path(__file__).parents[2] / "broadcast"
RECORDS = {"record", "of_destination", "of_key", "of_login", "_audit", "_tell", "_part", "_set"}
"""The functions that write into the log, or hand an action to one that does."""

ACTION = re.compile(r"[a-z]+\.[a-z_]+|(login|password|member|invitation|key|workspace)_[a-z_]+|login")


def entry(
    action: str, *, target: str = "ann@example.com", destination: str | None = None, **detail: Any
) -> Entry:
    return Entry(
        id=1,
        workspace_id=1,
        user_id=1,
        at_us=0,
        action=action,
        target=target,
        detail=detail,
        email="bob@example.com",
        destination=destination,
    )


def recorded() -> set[str]:
    """Return every action that the source writes down."""
    return {
        text
        for path in BROADCAST.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for text in _actions(node)
        if ACTION.fullmatch(text)
    }


def _actions(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in RECORDS:
            given = [*node.args, *(word.value for word in node.keywords if word.arg == "action")]
            for value in given:
                yield from _texts(value)
    if isinstance(node, ast.Assign) and any(getattr(to, "id", "") == "action" for to in node.targets):
        yield from _texts(node.value)


def _texts(value: ast.AST) -> Iterator[str]:
    """Yield the texts that a value may be: one, or either of a condition."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    if isinstance(value, ast.IfExp):
        yield from _texts(value.body)
        yield from _texts(value.orelse)


def test_every_action_that_is_recorded_has_words_and_no_other_has() -> None:
    assert recorded() == audit_words.known()


@pytest.mark.parametrize("action", sorted(audit_words.known()))
def test_an_old_entry_without_its_details_still_reads_as_words(action: str) -> None:
    said = audit_words.words(entry(action))

    assert said[0].islower()
    assert not set("_{}") & set(said)


@pytest.mark.parametrize("kind", audit_words.KINDS)
def test_every_kind_has_actions_and_none_is_of_two(kind: str) -> None:
    own = audit_words.actions_of(kind)
    others = [audit_words.actions_of(other) or frozenset() for other in audit_words.KINDS if other != kind]

    assert own
    assert all(not own & other for other in others)


def test_of_no_kind_is_everything() -> None:
    assert audit_words.actions_of(None) is None
    assert audit_words.actions_of("nonsense") is None


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (entry("member_joined", role="viewer", invited_as="ann@example.com"), "joined as viewer"),
        (
            entry("member_joined", role="viewer", invited_as="other@example.com"),
            "joined as viewer, invited as other@example.com",
        ),
        (
            entry("member_role_changed", **{"from": "viewer", "to": "admin"}),
            "changed the role of ann@example.com from viewer to admin",
        ),
        (entry("member_removed", management_keys=2), "removed ann@example.com; 2 management keys ended"),
        (entry("member_left", management_keys=0), "left the workspace"),
        (entry("key_created", name="laptop", kind="api"), "made the API key laptop"),
        (
            entry("key_changed", name="laptop", fields=["disabled"], disabled=True),
            "switched the key laptop off",
        ),
        (
            entry("key_changed", name="laptop", fields=["expires_at_us"]),
            "changed the key laptop: expires at us",
        ),
        (entry("destination.deleted", target="0-0", destination="Grafana"), "deleted Grafana"),
        (
            entry("destination.needs_attention", target="Grafana", reason="401 Unauthorized"),
            "paused Grafana after its answer: 401 Unauthorized",
        ),
        (
            entry("destination.replay_started", destination="Grafana", receipts=1),
            "started a replay of 1 receipt to Grafana",
        ),
        (entry("somebody_elses.action"), "somebody elses action"),
    ],
)
def test_an_entry_says_what_happened(made: Entry, said: str) -> None:
    assert audit_words.words(made) == said
