"""Keys, workspaces, what was used, and the process itself."""

from typing import Any, Final

from broadcast.request_log import STATUSES
from web.api.description.observability import FROM, TO, managed
from web.api.description.words import (
    COUNT,
    CURSOR,
    FLAG,
    LIMIT,
    OBJECT,
    OFFSET,
    TEXT,
    UUID,
    Operation,
    Query,
    data,
    page,
    ref,
    rows,
    whole,
    word,
)


def _flag(name: str, about: str) -> Query:
    return Query(name=name, schema=word("true", "false"), about=about)


_KEYS: Final = (
    Operation(
        method="get",
        path="/api/v1/key",
        title="Read the key that asks",
        tag="keys",
        key="any",
        answers={200: data(ref("OwnKey"))},
    ),
    managed(
        method="get",
        path="/api/v1/keys",
        title="List the API keys",
        tag="keys",
        query=(
            OFFSET,
            LIMIT,
            _flag("include_disabled", "Those that are switched off, too."),
            _flag("include_expired", "Those whose time is over, too."),
        ),
        answers={200: whole({"data": rows(ref("Key")), "total_count": COUNT})},
    ),
    managed(
        method="post",
        path="/api/v1/keys",
        title="Make an API key; it is shown once",
        tag="keys",
        body=ref("KeyDraft"),
        answers={201: whole({"data": ref("Key"), "key": TEXT})},
        refusals=(409,),
    ),
    managed(
        method="get",
        path="/api/v1/keys/{key_hash}",
        title="Read an API key",
        tag="keys",
        answers={200: data(ref("Key"))},
    ),
    managed(
        method="patch",
        path="/api/v1/keys/{key_hash}",
        title="Rename an API key, switch it off or on, or change when it ends",
        tag="keys",
        body=ref("KeyChange"),
        answers={200: data(ref("Key"))},
        refusals=(409,),
    ),
    managed(
        method="delete",
        path="/api/v1/keys/{key_hash}",
        title="Revoke an API key",
        tag="keys",
        answers={200: whole({"deleted": FLAG})},
    ),
)

_WORKSPACES: Final = (
    managed(
        method="get",
        path="/api/v1/workspaces",
        title="List the workspaces this key manages",
        tag="workspaces",
        query=(OFFSET, LIMIT),
        answers={200: whole({"data": rows(ref("Workspace")), "total_count": COUNT})},
    ),
    managed(
        method="post",
        path="/api/v1/workspaces",
        title="Make a workspace; who makes it owns it",
        tag="workspaces",
        body=ref("WorkspaceDraft"),
        answers={201: data(ref("Workspace"))},
        refusals=(409,),
    ),
    managed(
        method="get",
        path="/api/v1/workspaces/{ref}",
        title="Read a workspace, by id or slug",
        tag="workspaces",
        answers={200: data(ref("Workspace"))},
    ),
    managed(
        method="patch",
        path="/api/v1/workspaces/{ref}",
        title="Change a workspace, or its Broadcast switch",
        tag="workspaces",
        body=ref("WorkspaceChange"),
        answers={200: data(ref("Workspace"))},
        refusals=(409,),
    ),
    managed(
        method="delete",
        path="/api/v1/workspaces/{ref}",
        title="Delete a workspace with everything it owns; its owner alone can",
        tag="workspaces",
        query=(_flag("confirm_default_workspace_deletion", "Needed for the workspace of the key itself."),),
        answers={200: whole({"deleted": FLAG})},
        refusals=(409,),
    ),
)


def _used(**given: Any) -> Operation:
    """Return a look at what was used, in the workspace of the key or one that a management key names."""
    workspace = Query(name="workspace_id", schema=UUID, about="For management keys.")
    return Operation(
        method="get",
        tag="usage",
        key="usage:read",
        query=(*given.pop("query", ()), workspace),
        refusals=(404, 422),
        **given,
    )


_USAGE: Final = (
    _used(
        path="/api/v1/usage",
        title="What the requests of a time came to",
        query=(FROM, TO),
        answers={200: ref("Usage")},
    ),
    _used(
        path="/api/v1/requests",
        title="List the requests, newest first, or as they arrive",
        query=(
            CURSOR,
            LIMIT,
            Query(
                name="arrived_after",
                schema=TEXT,
                about="In order of arrival: `now`, `start`, or `next_cursor` of the page before, "
                "which has no end. Each request comes once, and none is missed.",
            ),
            FROM,
            TO,
            Query(name="since", schema=FROM.schema, about="The same as `from`."),
            Query(name="status", schema=word(*STATUSES), about="Only such."),
            *(
                Query(name=name, schema=TEXT, about="Only those that are equal.")
                for name in (
                    *("model_id", "provider_id", "funding_source", "api_key_name", "api_key_hash"),
                    *("session_id", "user", "request_id"),
                )
            ),
            _flag("streamed", "Only those streamed, or only those not."),
        ),
        answers={200: page(ref("Request"))},
    ),
    _used(
        path="/api/v1/requests/{receipt_id}",
        title="Read one request, and where its receipt went",
        answers={
            200: {
                "allOf": [
                    ref("Request"),
                    {
                        "type": "object",
                        "required": ["receipt", "delivery"],
                        "properties": {"receipt": OBJECT, "delivery": rows(ref("Delivery"))},
                    },
                ]
            }
        },
    ),
    managed(
        method="get",
        path="/api/v1/activity",
        title="Activity by day, model and provider, as OpenRouter tells it",
        tag="usage",
        query=(
            Query(
                name="date", schema=TEXT | {"format": "date"}, about="One of the last 30 days that are over."
            ),
            Query(name="api_key_hash", schema=TEXT, about="Only requests of this key."),
            Query(name="user_id", schema=TEXT, about="Only requests of this user's keys."),
            Query(name="group_by", schema=word("workspace"), about="Every workspace the key manages, apart."),
        ),
        answers={200: data(rows(ref("ActivityItem")))},
    ),
)

_PROCESS: Final = (
    Operation(
        method="get",
        path="/healthz",
        title="The process answers",
        tag="process",
        key="none",
        answers={200: whole({"status": TEXT})},
    ),
    Operation(
        method="get",
        path="/readyz",
        title="The process can serve",
        tag="process",
        key="none",
        answers={200: whole({"status": TEXT})},
        refusals=(503,),
    ),
    Operation(
        method="get",
        path="/metrics",
        title="Figures for Prometheus",
        tag="process",
        key="none",
        about="From loopback; from elsewhere with the server's BROADCAST_METRICS_TOKEN as the bearer.",
        answers={200: TEXT},
        answer_types=("text/plain",),
        refusals=(401, 403),
    ),
    Operation(
        method="get",
        path="/api/openapi.json",
        title="This description",
        tag="process",
        key="none",
        answers={200: OBJECT},
    ),
)
OPERATIONS: Final = (*_KEYS, *_WORKSPACES, *_USAGE, *_PROCESS)
