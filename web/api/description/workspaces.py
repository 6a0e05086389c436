"""Keys, workspaces and what was used, and the process itself."""

from typing import Final

from web.api.description.words import (
    COUNT,
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
    word,
)
from web.api.description.observability import managed

_KEY_DRAFT: Final = {"type": "object", "required": ["name"], "properties": {"name": TEXT}}
_KEYS: Final = (
    Operation(
        method="get",
        path="/api/v1/key",
        title="Read the key that asks",
        tag="keys",
        key="any",
        answers={200: data(OBJECT)},
    ),
    managed(
        method="get",
        path="/api/v1/keys",
        title="List the API keys",
        tag="keys",
        query=(OFFSET,),
        answers={200: OBJECT},
        refusals=(404, 422),
    ),
    managed(
        method="post",
        path="/api/v1/keys",
        title="Make an API key; it is shown once",
        tag="keys",
        body=_KEY_DRAFT,
        answers={201: whole({"data": OBJECT, "key": TEXT})},
        refusals=(404, 409),
    ),
    managed(
        method="get",
        path="/api/v1/keys/{key_hash}",
        title="Read an API key",
        tag="keys",
        answers={200: data(OBJECT)},
        refusals=(404, 422),
    ),
    managed(
        method="patch",
        path="/api/v1/keys/{key_hash}",
        title="Change an API key",
        tag="keys",
        body=OBJECT,
        answers={200: data(OBJECT)},
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
