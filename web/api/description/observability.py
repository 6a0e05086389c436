"""Destinations, their history and replays, the switch and notifications: for management keys."""

from typing import Any, Final

from web.api.description.schemas import VERDICTS
from web.api.description.words import (
    CURSOR,
    FLAG,
    INSTANT,
    LIMIT,
    OBJECT,
    OFFSET,
    TEXT,
    UUID,
    Operation,
    Query,
    data,
    maybe,
    page,
    ref,
    rows,
    whole,
)

_TAG: Final = "destinations"
_BASE: Final = "/api/v1/observability/destinations"
_ONE: Final = f"{_BASE}/{{uid}}"
_WORKSPACE: Final = Query(name="workspace_id", schema=UUID, about="The workspace; the key's own if left out.")
_NOTHING: Final = whole({}, optional={"workspace_id": UUID})
FROM: Final = Query(name="from", schema=INSTANT, about="The first instant.")
TO: Final = Query(name="to", schema=INSTANT, about="The first instant that is left out.")


def managed(**given: Any) -> Operation:
    """Return an operation of management keys: each takes the workspace it is about, which may not exist."""
    return Operation(
        tag=given.pop("tag", _TAG),
        key="management",
        query=(_WORKSPACE, *given.pop("query", ())),
        refusals=(404, 422, *given.pop("refusals", ())),
        **given,
    )


_DESTINATIONS: Final = (
    managed(
        method="get",
        path=_BASE,
        title="List the destinations",
        query=(OFFSET, LIMIT),
        answers={200: whole({"data": rows(ref("Destination")), "total_count": {"type": "integer"}})},
    ),
    managed(
        method="post",
        path=_BASE,
        title="Add a destination",
        about="A live test runs inside the call; nothing is saved unless it passes.",
        body=ref("DestinationDraft"),
        answers={201: whole({"data": ref("Destination")}, optional={"backfill": OBJECT})},
        refusals=(409,),
    ),
    managed(
        method="post",
        path=f"{_BASE}/test",
        title="Test a destination that is not saved",
        body=ref("DestinationDraft"),
        answers={200: ref("Report")},
        refusals=(429,),
    ),
    managed(
        method="post",
        path="/api/v1/observability/apply",
        title="Make destinations and switch what a whole set of settings says",
        about="What changes is tested first. Nothing is saved unless all of it passes; every reason is told.",
        body=whole(
            {"destinations": rows(ref("DestinationSettings"))},
            optional={
                "broadcast": whole({}, optional={"enabled": FLAG}),
                "prune": FLAG,
                "dry_run": FLAG,
                "workspace_id": UUID,
            },
        ),
        answers={200: data(ref("Applied"))},
        refusals=(409, 429),
    ),
    managed(
        method="get",
        path="/api/v1/observability/status",
        title="Read what every destination is doing, how far behind it is, and what went wrong last",
        answers={200: data(rows(ref("DestinationStatus")))},
    ),
    managed(
        method="get",
        path="/api/v1/observability/destination-types",
        title="List the destination types and their settings",
        answers={200: data(rows(ref("DestinationType")))},
    ),
    managed(
        method="get",
        path=_ONE,
        title="Read a destination",
        answers={200: data(ref("Destination"))},
    ),
    managed(
        method="patch",
        path=_ONE,
        title="Change a destination",
        about="A new `config`, or switching on, needs a passed test. A masked secret keeps the stored one.",
        body=ref("DestinationChange"),
        answers={200: data(ref("Destination"))},
        refusals=(409,),
    ),
    managed(
        method="delete",
        path=_ONE,
        title="Delete a destination",
        answers={200: whole({"deleted": FLAG})},
        refusals=(409,),
    ),
)


def _action(name: str, title: str, answer: str) -> Operation:
    """Return a verb on a saved destination, which takes an empty body."""
    return managed(
        method="post",
        path=f"{_ONE}/{name}",
        title=title,
        body=_NOTHING,
        answers={200: ref(answer) if answer == "Report" else data(ref(answer))},
        refusals=(409, 429),
    )


_ACTIONS: Final = (
    _action("pause", "Pause: hold what is due", "Destination"),
    _action("resume", "Resume: send what was held", "Destination"),
    _action("send-trace", "Send one generated trace, outside the ledger", "Report"),
    managed(
        method="post",
        path=f"{_ONE}/test",
        title="Test a saved destination, with changes or without",
        body=ref("DestinationChange"),
        answers={200: ref("Report")},
        refusals=(429,),
    ),
)

_HISTORY: Final = (
    managed(
        method="get",
        path=f"{_ONE}/attempts",
        title="List the attempts, newest first",
        query=(
            LIMIT,
            CURSOR,
            Query(name="verdict", schema={"type": "string", "enum": list(VERDICTS)}, about="Only such."),
            FROM,
            TO,
            Query(name="receipt_id", schema=TEXT, about="Only those about this receipt."),
        ),
        answers={200: page(ref("Attempt"))},
    ),
    managed(
        method="get",
        path=f"{_ONE}/dead-letters",
        title="List the receipts that were refused for themselves",
        query=(LIMIT, CURSOR),
        answers={200: page(ref("DeadLetter"))},
    ),
    managed(
        method="get",
        path=f"{_ONE}/preview",
        title="Read exactly what would be sent for a receipt",
        query=(Query(name="receipt_id", schema=TEXT, about="The receipt.", required=True),),
        answers={200: data(ref("Preview"))},
        refusals=(409,),
    ),
    managed(
        method="get",
        path=f"{_ONE}/ledger",
        title="Read the ledger: what became of every receipt",
        answers={200: ref("Ledger")},
    ),
)

_REPLAYS: Final = (
    managed(
        method="post",
        path=f"{_ONE}/replay",
        title="Send again, or count what would be sent",
        tag="replays",
        body=ref("ReplayDraft"),
        answers={200: data(ref("ReplayPreview")), 201: data(ref("Replay"))},
        refusals=(409,),
    ),
    managed(
        method="get",
        path=f"{_ONE}/replays",
        title="List the replays of a destination",
        tag="replays",
        query=(LIMIT, CURSOR),
        answers={200: page(ref("Replay"))},
    ),
    managed(
        method="get",
        path=f"{_ONE}/replays/{{replay_uid}}",
        title="Read a replay",
        tag="replays",
        answers={200: data(ref("Replay"))},
    ),
    managed(
        method="post",
        path=f"{_ONE}/replays/{{replay_uid}}/stop",
        title="Stop a replay",
        tag="replays",
        body=_NOTHING,
        answers={200: data(ref("Replay"))},
        refusals=(409,),
    ),
)

_SWITCH: Final = whole({"enabled": FLAG})
_NOTICES: Final = whole({"email_enabled": FLAG, "webhook_host": maybe(TEXT)})
_WORKSPACE_SETTINGS: Final = (
    managed(
        method="get",
        path="/api/v1/broadcast",
        title="Read the workspace's Broadcast switch",
        tag="workspaces",
        answers={200: data(_SWITCH)},
    ),
    managed(
        method="patch",
        path="/api/v1/broadcast",
        title="Switch Broadcast on or off",
        tag="workspaces",
        body=whole({"enabled": FLAG}, optional={"workspace_id": UUID}),
        answers={200: data(_SWITCH)},
        refusals=(409,),
    ),
    managed(
        method="get",
        path="/api/v1/notifications",
        title="Read how the workspace is told of trouble",
        tag="workspaces",
        answers={200: data(_NOTICES)},
    ),
    managed(
        method="patch",
        path="/api/v1/notifications",
        title="Change how the workspace is told of trouble",
        tag="workspaces",
        body=whole({}, optional={"email_enabled": FLAG, "webhook_url": maybe(TEXT), "workspace_id": UUID}),
        answers={200: data(_NOTICES)},
        refusals=(409,),
    ),
    managed(
        method="post",
        path="/api/v1/notifications/test",
        title="Post a marked notice to the workspace's webhook",
        tag="workspaces",
        answers={200: whole({"ok": FLAG, "message": TEXT, "hint": maybe(TEXT)})},
        refusals=(409, 429),
    ),
)

OPERATIONS: Final = (*_DESTINATIONS, *_ACTIONS, *_HISTORY, *_REPLAYS, *_WORKSPACE_SETTINGS)
