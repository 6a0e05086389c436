"""Who asked through LiteLLM, in which session and trace: what its users put into `metadata` and headers.

https://docs.litellm.ai/docs/proxy/request_headers ; names of its Langfuse integration count too.
"""

import re
from typing import Any, Final

from broadcast.json_text import items, members
from broadcast.sources.loose import first_text, text, told

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY_HASH: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST: Final = 256
_HEALTH_CHECK: Final = "litellm-internal-health-check"
_USERS: Final = ("trace_user_id", "user_id")
_READ_BY_NAME: Final = frozenset(
    {"headers", "used_client_oauth_token", "trace_id", "existing_trace_id", "session_id", "tags"}
    | {"trace", "trace_metadata", "parent_observation_id"}
)
"""Keys of the caller's metadata that are read by name, and those that the proxy adds to it."""


def caller(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata that the caller sent along."""
    return members(members(payload.get("metadata")).get("requester_metadata"))


def header(payload: dict[str, Any], name: str) -> str | None:
    """Return one header of the caller; they are read by name and never passed on together."""
    return text(members(caller(payload).get("headers")).get(name))


def user(payload: dict[str, Any]) -> str | None:
    """Return the end user, as the body, a header or the metadata name it."""
    metadata, asked = members(payload.get("metadata")), caller(payload)
    found = first_text(
        payload.get("end_user"),
        metadata.get("user_api_key_end_user_id"),
        *(asked.get(name) for name in _USERS),
    )
    return found[:_LONGEST] if found else None


def session_id(payload: dict[str, Any]) -> str | None:
    """Return the session; unless told apart by a setting, LiteLLM reports it as the trace id."""
    asked, reported = caller(payload), text(payload.get("trace_id"))
    found = first_text(payload.get("session_id"), asked.get("session_id"))
    if found is None and reported and reported != asked.get("trace_id") and not _UUID.fullmatch(reported):
        found = reported
    return found[:_LONGEST] if found else None


def trace_id(payload: dict[str, Any]) -> str | None:
    """Return the caller's trace id, else LiteLLM's own; a session never makes one trace of its requests."""
    asked = caller(payload)
    session = session_id(payload)
    wished = first_text(
        header(payload, "x-litellm-trace-id"), asked.get("existing_trace_id"), asked.get("trace_id")
    )
    if wished and (wished != session or header(payload, "x-litellm-trace-id")):
        return wished
    reported = text(payload.get("trace_id"))
    if reported is None or reported == session:
        return None
    return reported.replace("-", "") if _UUID.fullmatch(reported) else reported


def trace(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the caller's metadata as `trace`, with what LiteLLM itself knows under `litellm`."""
    asked = caller(payload)
    end_user = user(payload)
    read = told(
        (
            ("trace_id", trace_id(payload)),
            ("parent_span_id", text(asked.get("parent_observation_id"))),
            ("tags", tags(payload)),
        )
    )
    own = {
        name: value
        for name, value in asked.items()
        if name not in _READ_BY_NAME and not (name in _USERS and value == end_user)
    }
    made = {**read, **own, **members(asked.get("trace_metadata")), **members(asked.get("trace"))}
    known = _litellm(payload)
    return {**made, "litellm": known} if known else made


def tags(payload: dict[str, Any]) -> list[str]:
    """Return the request's tags without those that LiteLLM makes of the user agent."""
    given = [found for tag in items(payload.get("request_tags")) if (found := text(tag))]
    return [tag for tag in given if not tag.startswith("User-Agent: ")]


def _litellm(payload: dict[str, Any]) -> dict[str, Any]:
    metadata = members(payload.get("metadata"))
    return told(
        (
            ("model_group", text(payload.get("model_group"))),
            (
                "team",
                first_text(metadata.get("user_api_key_team_alias"), metadata.get("user_api_key_team_id")),
            ),
            ("cache_hit", True if payload.get("cache_hit") is True else None),
            ("health_check", True if is_health_check(payload) else None),
        )
    )


def is_health_check(payload: dict[str, Any]) -> bool:
    """Return whether LiteLLM asked on its own behalf, to see whether a model answers."""
    return _HEALTH_CHECK in tags(payload) or api_key(payload).get("hash") == _HEALTH_CHECK


def api_key(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the virtual key; the proxy's own keys have a word in place of a hash, which is their name."""
    metadata = members(payload.get("metadata"))
    key_hash = text(metadata.get("user_api_key_hash"))
    word = key_hash if key_hash and not _KEY_HASH.fullmatch(key_hash) else None
    return told((("hash", key_hash), ("name", first_text(metadata.get("user_api_key_alias"), word))))


def app(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the calling application, where it names itself as OpenRouter asks it to."""
    return told((("referer", header(payload, "http-referer")), ("title", header(payload, "x-title"))))
