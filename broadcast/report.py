"""The report of one live test: what was reached, what was accepted, and what to do about it."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Stage = Literal["fields", "address", "dns", "connect", "tls", "credential", "data"]
Fact = Literal["yes", "no", "not_tried"]

_PUBLIC: Final = (
    "ok", "stage", "reachable", "credential_accepted", "data_accepted",
    "status_code", "latency_ms", "message", "hint",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one test found; `stage` is where it ended, `answer` the destination's own words without secrets.

    `problems` maps outside field names to sentences when `stage` is `fields`. `fingerprint` stands for the tested
    values when the test passed, so that a page can save them without holding the secret.
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
    fingerprint: str | None = None

    def view(self) -> dict[str, Any]:
        """Return the API's object (CONTRACT, section 2, Gate)."""
        return {name: getattr(self, name) for name in _PUBLIC}
