"""Keys, workspaces, what was used, and the process itself."""

from typing import Final

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

_STATUSES: Final = ("succeeded", "error", "denied", "cancelled")


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
        refusals=(404, 422),
    ),
    managed(
        method="post",
        path="/api/v1/keys",
        title="Make an API key; it is shown once",
        tag="keys",
        body=ref("KeyDraft"),
        answers={201: whole({"data": ref("Key"), "key": TEXT})},
        refusals=(404, 409),
    ),
    managed(
        method="get",
        path="/api/v1/keys/{key_hash}",
        title="Read an API key",
        tag="keys",
        answers={200: data(ref("Key"))},
        refusals=(404, 422),
    ),
    managed(
        method="patch",
        path="/api/v1/keys/{key_hash}",
        title="Rename an API key, switch it off or on, or change when it ends",
        tag="keys",
        body=ref("KeyChange"),
        answers={200: data(ref("Key"))},
        refusals=(404, 409),
    ),
    managed(
        method="delete",
        path="/api/v1/keys/{key_hash}",
        title="Revoke an API key",
        tag="keys",
        answers={200: whole({"deleted": FLAG})},
        refusals=(404, 422),
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
        refusals=(404, 422),
    ),
    managed(
        method="post",
        path="/api/v1/workspaces",
        title="Make a workspace; who makes it owns it",
        tag="workspaces",
        body=ref("WorkspaceDraft"),
        answers={201: data(ref("Workspace"))},
        refusals=(404, 409),
    ),
    managed(
        method="get",
        path="/api/v1/workspaces/{ref}",
        title="Read a workspace, by id or slug",
        tag="workspaces",
        answers={200: data(ref("Workspace"))},
        refusals=(404, 422),
    ),
    managed(
        method="patch",
        path="/api/v1/workspaces/{ref}",
        title="Change a workspace, or its Broadcast switch",
        tag="workspaces",
        body=ref("WorkspaceChange"),
        answers={200: data(ref("Workspace"))},
        refusals=(404, 409),
    ),
    managed(
        method="delete",
        path="/api/v1/workspaces/{ref}",
        title="Delete a workspace with everything it owns; its owner alone can",
        tag="workspaces",
        query=(_flag("confirm_default_workspace_deletion", "Needed for the workspace of the key itself."),),
        answers={200: whole({"deleted": FLAG})},
        refusals=(404, 409, 422),
    ),
)

_USAGE: Final = (
    Operation(
        method="get",
        path="/api/v1/usage",
        title="What the requests of a time came to",
        tag="usage",
        key="usage:read",
        query=(FROM, TO, Query(name="workspace_id", schema=UUID, about="For management keys.")),
        answers={200: ref("Usage")},
        refusals=(404, 422),
    ),
    Operation(
        method="get",
        path="/api/v1/requests",
        title="List the requests, newest first, or as they arrive",
        tag="usage",
        key="usage:read",
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
            Query(name="status", schema=word(*_STATUSES), about="Only such."),
            *(
                Query(name=name, schema=TEXT, about="Only those that are equal.")
                for name in (
                    *("model_id", "provider_id", "funding_source", "api_key_name", "api_key_hash"),
                    *("session_id", "user", "request_id"),
                )
            ),
            _flag("streamed", "Only those streamed, or only those not."),
            Query(name="workspace_id", schema=UUID, about="For management keys."),
        ),
        answers={200: page(ref("Request"))},
        refusals=(404, 422),
    ),
    Operation(
        method="get",
        path="/api/v1/requests/{receipt_id}",
        title="Read one request, and where its receipt went",
        tag="usage",
        key="usage:read",
        query=(Query(name="workspace_id", schema=UUID, about="For management keys."),),
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
        refusals=(404, 422),
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
        refusals=(404, 422),
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
