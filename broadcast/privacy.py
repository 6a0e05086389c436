"""What may leave: an allow-list, applied before any code of a destination runs.

metadata   facts, who (user, session, `trace`) as the caller gave it; no content, no vendor's words
hashed     the same facts; who, what was asked and what was answered as keyed hashes
redacted   everything, with what is known by its form replaced: see `redaction`
full       everything as it was
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

from msgspec import structs

from broadcast.errors import VaultError
from broadcast.genai_names import SENT_PARAMETERS
from broadcast.multimodal import described
from broadcast.pseudonyms import Digest, Pseudonyms
from broadcast.receipt import App, Error, KeyRef, ProviderAttempt, Receipt
from broadcast.receipt_parser import with_content
from broadcast.redaction import Redactor

Level = Literal["metadata", "hashed", "redacted", "full"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)


def wants_content(level: str) -> bool:
    """Return whether a destination of this level is owed content: what is sent of it is made of it."""
    return level in {"hashed", "redacted", "full"}


class Privacy:
    """One destination's level, ready for its receipts; an unknown level lets out as little as `metadata`."""

    def __init__(self, level: str, *, digest: Digest | None = None, patterns: Sequence[str] = ()) -> None:
        """Take the workspace's keyed digest for `hashed`, and its own patterns for `redacted`."""
        if level == "hashed" and digest is None:
            raise VaultError("Hashes need the workspace's key.")
        self.level: Final = level
        self._pseudonyms = Pseudonyms(digest) if level == "hashed" and digest is not None else None
        self._redactor = Redactor(patterns) if level == "redacted" else None

    def receipt(self, receipt: Receipt) -> Receipt:
        """Return what may leave of a receipt, with or without its content."""
        if self.level == "full":
            return receipt
        if self._redactor is not None:
            return _redacted(receipt, self._redactor)
        bare = _metadata_alone(receipt)
        return bare if self._pseudonyms is None else _hashed(bare, receipt, self._pseudonyms)

    def with_content(self, allowed: Receipt, content: bytes | None) -> Receipt:
        """Return what `receipt` allowed, with what may leave of its stored content."""
        if content is None or not wants_content(self.level):
            return allowed
        whole = with_content(allowed, content)
        if self._redactor is not None:
            return structs.replace(whole, **_redacted_content(whole, self._redactor))
        return whole if self._pseudonyms is None else _with_hashes(allowed, whole, self._pseudonyms)

    def replaced(self) -> dict[str, int]:
        """Return how often each form was found since this was made, by its name."""
        return dict(self._redactor.counts) if self._redactor is not None else {}


# -- hashed ------------------------------------------------------------------------------------------


def _hashed(bare: Receipt, whole: Receipt, pseudonyms: Pseudonyms) -> Receipt:
    """Hash who asked; stop sequences are the caller's words as well."""
    parameters = bare.parameters
    if parameters and "stop" in parameters:
        stops = parameters["stop"]
        hashed = pseudonyms.trace({"stop": stops})["stop"]
        parameters = {**parameters, "stop": hashed}
    made = structs.replace(
        bare,
        user=None if bare.user is None else pseudonyms.text(bare.user),
        session_id=None if bare.session_id is None else pseudonyms.text(bare.session_id),
        trace=None if bare.trace is None else pseudonyms.trace(bare.trace),
        parameters=parameters,
    )
    return _with_hashes(made, whole, pseudonyms)


def _with_hashes(allowed: Receipt, whole: Receipt, pseudonyms: Pseudonyms) -> Receipt:
    return structs.replace(allowed, input=pseudonyms.asked(whole), output=pseudonyms.answered(whole))


# -- redacted ----------------------------------------------------------------------------------------


def _redacted(receipt: Receipt, redactor: Redactor) -> Receipt:
    """Look through every field that a person or a vendor may have written into.

    Ids, models and providers are the router's own words: they stay.
    """
    error, app, key = receipt.error, receipt.app, receipt.api_key
    return structs.replace(
        receipt,
        error=None
        if error is None
        else Error(
            type=redactor.text(error.type),
            message=redactor.text(error.message),
            code=redactor.value(error.code),
        ),
        attempts=tuple(_redacted_attempt(attempt, redactor) for attempt in receipt.attempts),
        app=None
        if app is None
        else App(referer=redactor.value(app.referer), title=redactor.value(app.title)),
        api_key=None if key is None else KeyRef(hash=key.hash, name=redactor.value(key.name)),
        **{name: redactor.value(getattr(receipt, name)) for name in _WRITTEN},
        **_redacted_content(receipt, redactor),
    )


_WRITTEN: Final = ("user", "session_id", "trace", "metadata", "parameters", "origin", "user_agent")


def _redacted_attempt(attempt: ProviderAttempt, redactor: Redactor) -> ProviderAttempt:
    return structs.replace(
        attempt,
        error_type=redactor.value(attempt.error_type),
        error_message=redactor.value(attempt.error_message),
    )


def _redacted_content(receipt: Receipt, redactor: Redactor) -> dict[str, Any]:
    """Images and files become their description first, which is text like any other."""
    return {name: redactor.value(described(getattr(receipt, name))) for name in ("input", "output")}


# -- metadata ----------------------------------------------------------------------------------------


_AS_IT_IS: Final = (
    *("id", "created_at_us", "duration_us", "model", "status", "response_model"),
    *("provider", "provider_slug", "system", "api_type", "streamed", "finish_reason"),
    *("native_finish_reason", "request_id", "usage", "cost", "timing", "routing", "capabilities"),
    *("funding_source", "region", "app", "user_agent", "origin"),
    *("user", "session_id", "trace", "traceparent", "api_key"),
)
"""What leaves of a receipt as it is; a new field stays inside until somebody lists it here."""

_OF_AN_ATTEMPT: Final = (
    *("provider", "provider_slug", "model", "id", "status_code", "error_type"),
    *("start_ms", "duration_ms", "is_byok"),
)
_IN_PART: Final = ("error", "attempts", "parameters")
_HELD_BACK: Final = sorted({*Receipt.__struct_fields__} - {*_AS_IT_IS, *_IN_PART})
_HELD_OF_AN_ATTEMPT: Final = sorted({*ProviderAttempt.__struct_fields__} - {*_OF_AN_ATTEMPT})


def _metadata_alone(receipt: Receipt) -> Receipt:
    """Return only what is listed.

    Left out: input, output, the router's own `metadata`, `parameters` that are no attribute, vendors' texts.
    """
    if _is_bare(receipt):
        return receipt
    return Receipt(
        error=None if receipt.error is None else Error(type=receipt.error.type, message=receipt.error.type),
        attempts=tuple(map(_attempt, receipt.attempts)),
        parameters=_parameters(receipt),
        **{name: getattr(receipt, name) for name in _AS_IT_IS},
    )


def _is_bare(receipt: Receipt) -> bool:
    """Whether there is nothing in a receipt that may not leave, as in most: then it costs no copy."""
    return (
        receipt.error is None
        and all(getattr(receipt, name) is None for name in _HELD_BACK)
        and all(getattr(one, name) is None for one in receipt.attempts for name in _HELD_OF_AN_ATTEMPT)
        and (receipt.parameters is None or SENT_PARAMETERS.issuperset(receipt.parameters))
    )


def _attempt(attempt: ProviderAttempt) -> ProviderAttempt:
    return ProviderAttempt(**{name: getattr(attempt, name) for name in _OF_AN_ATTEMPT})


def _parameters(receipt: Receipt) -> dict[str, object] | None:
    if receipt.parameters is None:
        return None
    return {key: value for key, value in receipt.parameters.items() if key in SENT_PARAMETERS}
