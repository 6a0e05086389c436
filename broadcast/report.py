"""The report of one live test: what was reached, what was accepted, and what to do about it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import quote, quote_plus

from broadcast.answers import Outcome, Response, Verdict, is_web_page
from broadcast.errors import SendFailed

Stage = Literal["fields", "address", "dns", "connect", "tls", "credential", "data"]
Fact = Literal["yes", "no", "not_tried"]

_PUBLIC: Final = (
    "ok", "stage", "reachable", "credential_accepted", "data_accepted",
    "status_code", "latency_ms", "message", "hint",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one test found; `stage` is where it ended, `answer` the destination's own words without secrets.

    `problems` maps outside field names to sentences when `stage` is `fields`; `warnings` does the same for
    what only looks wrong. `fingerprint` stands for the tested values when the test passed, so that a page can
    save them without holding the secret.
    """

    ok: bool
    stage: Stage
    reachable: Fact = "not_tried"
    credential_accepted: Fact = "not_tried"
    data_accepted: Fact = "not_tried"
    status_code: int | None = None
    latency_ms: float | None = None
    message: str
    hint: str | None = None
    answer: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    fingerprint: str | None = None

    def view(self) -> dict[str, Any]:
        """Return the API's object (CONTRACT, section 2, Gate)."""
        return {name: getattr(self, name) for name in _PUBLIC}


_ANSWER_CHARS: Final = 300
_TAKEN_OUT: Final = "[secret]"


def scrub(text: str | bytes, secrets: Iterable[str]) -> str:
    """Return at most 300 printable characters of a destination's words, with every secret taken out.

    A secret is also found as JSON or a URL would write it; the cut comes last, so that no half is left.
    """
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    # No form is shorter than the secret, so what is longer than all the words is not among them.
    forms = {form for secret in secrets if 0 < len(secret) <= len(words) for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        words = words.replace(form, _TAKEN_OUT)
    if not words.isprintable():
        words = "".join(char if char.isprintable() else " " for char in words)
    return " ".join(words.split())[:_ANSWER_CHARS]


def _forms(secret: str) -> tuple[str, ...]:
    return secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)


def fields_report(problems: Mapping[str, str]) -> Report:
    """Return the report of settings that are wrong before anything is dialled."""
    return Report(
        ok=False,
        stage="fields",
        message="; ".join(f"{name}: {problem}" for name, problem in problems.items()),
        hint="Correct the marked settings.",
        problems=dict(problems),
    )


def refused_report(host: str = "") -> Report:
    """Return the report of an address that egress policy refuses; the same for every refused address."""
    return Report(
        ok=False,
        stage="address",
        reachable="no",
        message="This address is not allowed.",
        hint=(
            "Broadcast sends to public https. For a receiver in a private network the operator adds "
            "its host and port to BROADCAST_EGRESS_ALLOW."
        ),
        evidence={"host": host},
    )


def failed_report(error: SendFailed, *, latency_ms: float, host: str = "") -> Report:
    """Return the report of a request that got no usable answer."""
    stage: Stage = error.stage if error.stage in _FAILED_HINTS else "connect"  # type: ignore[assignment]
    return Report(
        ok=False,
        stage=stage,
        reachable=_REACHED.get(stage, "no"),
        credential_accepted="no" if stage == "credential" else "not_tried",
        latency_ms=round(latency_ms, 1),
        message=str(error),
        hint=_HINTS_BY_REASON.get(error.reason) or _FAILED_HINTS[stage],
        evidence={"host": host, "reason": error.reason},
    )


_HINTS_BY_REASON: Final[Mapping[str, str]] = {
    "no_identity": (
        "Use access keys, or have the operator set BROADCAST_AWS_ACCESS_KEY_ID and "
        "BROADCAST_AWS_SECRET_ACCESS_KEY."
    ),
}
_REACHED: Final[Mapping[str, Fact]] = {"data": "yes", "credential": "not_tried"}
_FAILED_HINTS: Final[Mapping[str, str]] = {
    "dns": "Check the spelling of the host name.",
    "connect": "Check host and port, and that a firewall lets this server through.",
    "tls": "The certificate must be valid for this host and of a public authority.",
    "credential": "The key or a header holds characters that cannot be sent. Enter it again.",
    "data": "The connection was made. Check that this is the address that takes traces.",
}


def judged_report(
    outcome: Outcome,
    response: Response,
    *,
    hints: Mapping[int, str],
    secrets: Iterable[str],
    credential_proved: bool = False,
    ingest_proves: bool = True,
) -> Report:
    """Return the report of an answer to the test span.

    `credential_proved` says that a call of its own has accepted the credential, `ingest_proves` whether this
    vendor's answer tells anything: some answer so to any key and any data.
    """
    answer = scrub(response.body, secrets)
    hint = hints.get(response.status) or _hint(outcome, response)
    credential, data = _facts(outcome, response)
    good = outcome.verdict is Verdict.DELIVERED
    if good and not ingest_proves:
        credential, data = "not_tried", "not_tried"
    if credential_proved and credential == "not_tried":
        credential = "yes"
    return Report(
        ok=good,
        stage="credential" if credential == "no" else "data",
        reachable="yes",
        credential_accepted=credential,
        data_accepted=data,
        status_code=response.status,
        latency_ms=round(response.duration_ms, 1),
        message=(_ACCEPTED if ingest_proves else _TAKEN) if good else scrub(outcome.reason, secrets),
        hint=None if good else hint,
        answer=answer,
        evidence=evidence(response, outcome),
    )


def metrics_report(found: Report, measured: Report) -> Report:
    """Return a passed test's report with what became of the metrics, which have to pass too."""
    if measured.ok:
        told = {**found.evidence, "metrics": "yes"}
        return replace(found, message=f"{found.message} So were metrics.", evidence=told)
    return replace(
        found,
        ok=False,
        stage="data",
        data_accepted="no",
        status_code=measured.status_code,
        latency_ms=measured.latency_ms,
        message=f"The test span was accepted, metrics were not: {measured.message}",
        hint="Check that the key may write metrics and that this is where they go, or switch Metrics off.",
        answer=measured.answer,
        evidence={**measured.evidence, "metrics": "no"},
    )


_ACCEPTED: Final = "The test span was accepted."
_TAKEN: Final = "The test span was sent. This answer is given to any data, so look for the span there."


def read_back_report(found: Report, *, seen: bool | None) -> Report:
    """Return the report with what a look at the vendor has shown: the span, none yet, or nothing."""
    fact: Fact = "not_tried" if seen is None else "yes" if seen else "no"
    told = replace(found, evidence={**found.evidence, "data_seen": fact})
    if seen:
        return replace(told, data_accepted="yes", message="The test span was accepted and read back.")
    if seen is None:
        return told
    return replace(told, message=f"{found.message} It does not show there yet.")


def credential_report(problem: str, response: Response, *, secrets: Iterable[str]) -> Report:
    """Return the report of a credential that its own check did not accept."""
    return Report(
        ok=False,
        stage="credential",
        reachable="yes",
        credential_accepted="not_tried" if _tells_nothing(response) else "no",
        status_code=response.status,
        latency_ms=round(response.duration_ms, 1),
        message=f"{response.status} {response.reason}".strip(),
        hint=problem,
        answer=scrub(response.body, secrets),
        evidence=evidence(response, None),
    )


def _tells_nothing(response: Response) -> bool:
    """Whether somebody answered who had not looked at the credential: too busy, or not the one meant."""
    return response.status >= 500 or response.status in {404, 405, 408, 429} or is_web_page(response)


def evidence(response: Response, outcome: Outcome | None) -> dict[str, Any]:
    """Return what proves the facts: host, TLS, milliseconds, status, bytes and rejected spans."""
    return {
        "host": response.host,
        "tls": response.tls,
        "latency_ms": round(response.duration_ms, 1),
        "status": response.status,
        "status_words": response.reason,
        "sent_bytes": response.sent_bytes,
        "rejected_spans": outcome.rejected_spans if outcome else None,
    }


def _facts(outcome: Outcome, response: Response) -> tuple[Fact, Fact]:
    """Return whether credential and data were accepted, as far as this answer tells."""
    if outcome.verdict is Verdict.DELIVERED:
        return "yes", "yes"
    if response.status in {401, 403, 407}:
        return "no", "not_tried"
    # Receivers look at the credential first: who complains about the data has let us in.
    if response.status in {400, 413, 415, 422} or outcome.verdict is Verdict.PARTLY_DELIVERED:
        return "yes", "no"
    return "not_tried", "no"


def _hint(outcome: Outcome, response: Response) -> str:
    if outcome.verdict is Verdict.PARTLY_DELIVERED:
        return "The destination takes the connection but rejected the span. Its own words say why."
    if 200 <= response.status < 300:
        return _WEB_PAGE if is_web_page(response) else _NOT_TAKEN
    return _HINTS.get(response.status) or _HINT_CLASSES.get(response.status // 100, _HINT_CLASSES[5])


_WEB_PAGE: Final = "The answer is a web page. Use the address that takes the data, not of the site."
_NOT_TAKEN: Final = "The destination answered but did not take the span. Its own words say why."
_HINTS: Final[Mapping[int, str]] = {
    400: "The destination did not understand the span. Check that this address takes OTLP traces.",
    401: "The key was not accepted. Copy it again, whole, from the destination.",
    403: "The key is known but may not write traces. Give it that scope, or use another key.",
    404: "The destination does not know this path. Check the end of the address.",
    405: "The destination does not take data at this path. Check the end of the address.",
    407: "A proxy asks for a login. Use the destination's own address.",
    413: "The destination finds one small span too large. Check its limits.",
    415: "The destination does not take this encoding. Check that this address takes OTLP over HTTP.",
    422: "The destination did not accept the span. Its own words say why.",
    429: "The destination asks for fewer requests. Try again in a minute.",
}
_HINT_CLASSES: Final[Mapping[int, str]] = {
    3: "The address moved. Enter the new address: redirects are never followed.",
    4: "The destination refused the request. Its own words say why.",
    5: "The destination has trouble of its own. Try again later, or look at its status page.",
}
