"""The ways a provider can fail, each of which may or may not send a request on to the next provider."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from broadcast.errors import SendFailed
from broadcast.gateway.reading import error_of
from broadcast.receipt import Error

Failure = Literal[
    "connect", "timeout", "rate_limit", "server_error", "credential", "not_found", "bad_answer",
    "context_length", "bad_request",
]  # fmt: skip

FAILURES: Final[tuple[Failure, ...]] = get_args(Failure)
CLIENTS: Final[frozenset[Failure]] = frozenset({"context_length", "bad_request"})
"""What a client can mend: the provider's answer passes as it came."""
FALLBACK_ON: Final[frozenset[Failure]] = frozenset(FAILURES) - CLIENTS
"""What sends a request on unless the operator says otherwise: everything a client cannot mend."""

_BY_STATUS: Final[Mapping[int, Failure]] = {
    401: "credential",
    402: "credential",
    403: "credential",
    404: "not_found",
    408: "timeout",
    429: "rate_limit",
}
_TOO_LONG: Final = re.compile(
    r"context[ _-]?(length|window|size)|prompt is too long|input is too long|too many (input )?tokens",
    re.IGNORECASE,
)
_TOO_LARGE: Final = 413
OWN_FAULT: Final = "The provider refused the router's credential."
_OF_CREDENTIALS: Final = frozenset(
    {"authentication_error", "permission_error", "billing_error", "invalid_api_key"}
)
"""What Anthropic (https://docs.anthropic.com/en/api/errors) and OpenAI call it where no number says so."""


def of_status(status: int, document: Any = None) -> Failure:
    """Return what an answer that is not a 200 means; the document is what it says, where that matters."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return "server_error"
    if status >= 400:
        return "context_length" if status == _TOO_LARGE or _is_too_long(document) else "bad_request"
    return "bad_answer"


def of_error(error: Error, document: Any) -> Failure:
    """Return what an error means that an answer tells with a status of 200."""
    if not _OF_CREDENTIALS.isdisjoint((error.type, error.code)):
        return "credential"
    if isinstance(error.code, int) and 400 <= error.code <= 599:
        return of_status(error.code, document)
    return "bad_answer"


def covered(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a provider tells without its words about our credential, which may quote it."""
    told = document.get("error")
    # In the responses API an event of a stream is the error itself.
    is_error = not told and document.get("type") == "error"
    if not told and not is_error:
        return document
    error = error_of({"error": document} if is_error else document, "")
    if of_error(error, document) != "credential":
        return document
    kept = {"type": error.type, "code": error.code, "message": OWN_FAULT}
    return {**document, **kept} if is_error else {**document, "error": kept}


def of_send(error: SendFailed) -> Failure:
    """Return what it means that there is no whole answer."""
    if error.reason == "timeout":
        return "timeout"
    return "bad_answer" if error.reason == "too_large" else "connect"


def _is_too_long(document: Any) -> bool:
    """Whether a refusal speaks of the length of the prompt; providers say so in a code, a type or words."""
    told = document.get("error") if isinstance(document, dict) else None
    parts = [told] if not isinstance(told, dict) else [told.get(name) for name in ("code", "type", "message")]
    return any(isinstance(part, str) and _TOO_LONG.search(part) for part in parts)
