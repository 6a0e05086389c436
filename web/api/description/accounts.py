"""The schemas of keys, workspaces and usage, in OpenRouter's shapes and in ours."""

from typing import Final

from web.api.description.words import (
    ANY,
    COUNT,
    FLAG,
    INSTANT,
    NUMBER,
    OBJECT,
    TEXT,
    UUID,
    WHOLE,
    Schema,
    maybe,
    rows,
    whole,
    word,
)

_TIMES: Final = {
    "": "ever",
    "_daily": "this day of UTC",
    "_weekly": "this week of UTC, from Monday on",
    "_monthly": "this month of UTC",
}
_SPENT: Final = {
    f"usage{time}": NUMBER | {"description": f"USD that its requests cost {words}, of the known costs."}
    for time, words in _TIMES.items()
} | {
    f"byok_usage{time}": NUMBER | {"description": "0: whoever paid the provider, `usage` has the cost."}
    for time in _TIMES
}
_LIMITS: Final = {
    "limit": maybe(NUMBER),
    "limit_remaining": maybe(NUMBER),
    "limit_reset": maybe(TEXT),
    "include_byok_in_limit": FLAG,
}
_EVERY_KEY: Final = {
    **_SPENT,
    **_LIMITS,
    "hash": TEXT,
    "name": TEXT,
    "label": TEXT,
    "scopes": rows(TEXT),
    "creator_user_id": maybe(TEXT),
    "workspace_id": UUID,
    "expires_at": maybe(INSTANT),
}
_KEY_SETTINGS: Final = {
    "expires_at": maybe(INSTANT),
    "limit": ANY,
    "limit_reset": ANY,
    "include_byok_in_limit": ANY,
    "workspace_id": UUID,
}
_OFFERED: Final = {
    "default_image_model": maybe(TEXT),
    "default_provider_sort": maybe(TEXT),
    "default_text_model": maybe(TEXT),
    "disabled_server_tools": maybe(rows(TEXT)),
    "io_logging_api_key_ids": maybe(rows(WHOLE)),
    "io_logging_sampling_rate": NUMBER,
    "is_data_discount_logging_enabled": FLAG,
    "is_observability_io_logging_enabled": FLAG,
    "is_observability_broadcast_enabled": FLAG,
}
_WORKSPACE_SETTINGS: Final = {
    "name": TEXT | {"minLength": 1, "maxLength": 100},
    "slug": TEXT,
    "description": maybe(TEXT),
    **dict.fromkeys(_OFFERED, ANY),
    "workspace_id": UUID,
}
_COUNTS: Final = {
    "spend_micro_usd": COUNT,
    "prompt_tokens": COUNT,
    "completion_tokens": COUNT,
    "request_count": COUNT,
    "unpriced_request_count": COUNT,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Key": whole(
        {
            **_EVERY_KEY,
            "disabled": FLAG,
            "external_user": maybe(TEXT),
            "created_at": INSTANT,
            "updated_at": maybe(INSTANT),
            "last_used_at": maybe(INSTANT),
        }
    ),
    "OwnKey": whole(
        {
            **_EVERY_KEY,
            "allowed_data_regions": rows(TEXT),
            "budgets": rows(OBJECT),
            "effective_budget": ANY,
            "free_model_daily_requests": OBJECT,
            "is_free_tier": FLAG,
            "is_management_key": FLAG,
            "is_provisioning_key": FLAG,
            "organization_id": maybe(TEXT),
            "rate_limit": OBJECT,
        }
    ),
    "KeyDraft": whole(
        {"name": TEXT},
        optional={"scopes": maybe(rows(TEXT)), "creator_user_id": ANY, "external": ANY, **_KEY_SETTINGS},
    ),
    "KeyChange": whole({}, optional={"name": TEXT, "disabled": FLAG, **_KEY_SETTINGS}),
    "Workspace": whole(
        {
            **_OFFERED,
            "id": UUID,
            "name": TEXT,
            "slug": TEXT,
            "description": maybe(TEXT),
            "created_at": INSTANT,
            "created_by": maybe(TEXT),
            "updated_at": maybe(INSTANT),
            "default_guardrail_id": UUID,
            "include_byok_in_budgets": FLAG,
        }
    ),
    "WorkspaceDraft": whole({"name": _WORKSPACE_SETTINGS["name"]}, optional=_WORKSPACE_SETTINGS),
    "WorkspaceChange": whole({}, optional=_WORKSPACE_SETTINGS),
    "Usage": whole(
        {
            "from": INSTANT,
            "to": INSTANT,
            **_COUNTS,
            "by_model": rows(whole({"model_id": TEXT, **_COUNTS})),
            "by_capability": rows(whole({"capability": TEXT, **_COUNTS})),
        }
    ),
    "Request": {
        "type": "object",
        "required": ["id", "request_id", "status", "model_id", "created_at", "final_charge_micro_usd"],
        "properties": {
            "id": TEXT,
            "request_id": TEXT,
            "status": word("succeeded", "error", "denied", "cancelled"),
            "model_id": TEXT,
            "provider_id": maybe(TEXT),
            **dict.fromkeys(
                ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"), maybe(COUNT)
            ),
            "final_charge_micro_usd": maybe(COUNT),
            "funding_source": maybe(TEXT),
            "streamed": FLAG,
            "created_at": INSTANT,
            "completed_at": INSTANT,
            "latency_ms": NUMBER,
            "first_token_ms": maybe(NUMBER),
            "attempts": COUNT,
            "routing_profile": maybe(TEXT),
            "capabilities": rows(TEXT),
            "api_key_name": maybe(TEXT),
            "session_id": maybe(TEXT),
            "user": maybe(TEXT),
            "error": maybe(OBJECT),
        },
    },
    "ActivityItem": {
        "type": "object",
        "required": ["date", "model", "provider_name", "requests", "usage"],
        "properties": {
            "date": TEXT,
            "model": TEXT,
            "provider_name": TEXT,
            "requests": NUMBER,
            "usage": NUMBER,
        },
    },
}
