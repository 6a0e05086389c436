"""Answers for programs: JSON by msgspec, and one form for every error (CONTRACT, section 2, Statuses)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from flask import Blueprint, Response

from broadcast import errors

_JSON: Final = "application/json"
_REASONS: Final[dict[type[errors.BroadcastError], tuple[int, str]]] = {
    errors.NotFound: (404, "not_found"),
    errors.Forbidden: (403, "forbidden"),
    errors.Conflict: (409, "conflict"),
    errors.Unstorable: (422, "invalid"),
    errors.Unavailable: (503, "unavailable"),
    errors.TooManyRequests: (429, "too_many_requests"),
    errors.GateClosed: (422, "test_failed"),
    errors.NotApplied: (422, "not_applied"),
    errors.SecretRequired: (422, "secret_required"),
    errors.SettingsError: (422, "invalid"),
    errors.AddressRefused: (422, "address_refused"),
    errors.TooManyReceipts: (413, "too_large"),  # before its own kind: the first that fits counts
    errors.ReceiptError: (400, "not_json"),
    errors.VaultError: (503, "secret_unreadable"),
}


class ApiError(Exception):
    """A refusal with a status of its own; `reason` is a stable word, `field` names what is at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        reason: str,
        field: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.field = field
        self.retry_after_s = retry_after_s


def body_of(
    status: int, message: str, reason: str, *, field: str | None = None, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the error object."""
    named = {} if field is None else {"field": field}
    return {
        "error": {"code": status, "message": message, "metadata": {"reason": reason, **named, **(more or {})}}
    }


def explain(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, body and headers for an error of ours."""
    headers: dict[str, str] = {}
    wait = getattr(error, "retry_after_s", None)
    if isinstance(wait, int):
        headers["Retry-After"] = str(max(1, wait))
    if isinstance(error, ApiError):
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return error.status, body_of(error.status, error.message, error.reason, field=error.field), headers
    status, reason = next(
        (found for kind, found in _REASONS.items() if isinstance(error, kind)), (422, "refused")
    )
    field, more = _details(error)
    reason = error.reason if isinstance(error, errors.Conflict) else reason
    return status, body_of(status, str(error), reason, field=field, more=more), headers


def _details(error: Exception) -> tuple[str | None, dict[str, Any]]:
    if isinstance(error, errors.GateClosed):
        return None, dict(error.report.view())
    if isinstance(error, errors.NotApplied):
        return None, {"problems": error.problems, "saved": list(error.saved)}
    if isinstance(error, errors.SecretRequired):
        return next(iter(error.fields), None), {"fields": list(error.fields)}
    if isinstance(error, errors.SettingsError):
        return next(iter(error.problems), None), {"fields": error.problems}
    return getattr(error, "field", None) or None, {}


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON that no cache keeps."""
    response = Response(msgspec.json.encode(data), status, content_type=_JSON)
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def refuse(error: Exception) -> Response:
    """Return the answer for an error of ours."""
    status, body, headers = explain(error)
    return answer(body, status, headers)


def explain_errors(blueprint: Blueprint) -> None:
    """Let the views of a blueprint raise; each error becomes its JSON answer."""
    blueprint.register_error_handler(errors.BroadcastError, refuse)
    blueprint.register_error_handler(ApiError, refuse)
