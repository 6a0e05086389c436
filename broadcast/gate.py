"""The gate: a destination is saved only after a passed live test. One rule for page, API and command line.

A page cannot send a secret back that it was never given. So a passed test leaves the secrets sealed in the
store, under a fingerprint of the tested values made with a key of this server: who presents the fingerprint
within ten minutes, together with the same plain settings, has passed.
"""

import asyncio
import hmac
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from broadcast import genai, otlp_metrics, report
from broadcast.answers import judge_otlp
from broadcast.config import Config
from broadcast.destination import Batch, Destination, Request, Response
from broadcast.egress import Policy
from broadcast.errors import AddressRefused, GateClosed, SendFailed, VaultError
from broadcast.lending import Lender
from broadcast.otlp_metrics import Frame
from broadcast.report import Report
from broadcast.span import ResourceSpans
from broadcast.store import Store, passed_tests
from broadcast.store.workspaces import Workspace
from broadcast.transport import DEADLINE_S, send_once
from broadcast.vault import Vault, derive

TEST_SPAN: Final = "broadcast-connection-test"
_PASSED_US: Final = 10 * 60 * 1_000_000
READ_BACK_S: Final = (0.0, 0.5, 1.5)
"""Waits before each look for the span at the vendor: it may take a moment to show there."""


class Gate:
    """Runs live tests, and remembers for ten minutes what passed."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        policy: Policy,
        config: Config,
        *,
        tls: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
        read_back_s: Sequence[float] = READ_BACK_S,
    ) -> None:
        self._tls = tls
        self._deadline_s = deadline_s
        self._read_back_s = read_back_s
        self._store = store
        self._vault = vault
        self._policy = policy
        self._namespace = config.service_name
        self._identity = config.aws
        self._key = derive(config.secret_key, "fingerprints of passed tests")

    def probe(self, destination: Destination, *, now_us: int) -> Report:
        """Send one marked span through production's encoder and transport, and report what became of it."""
        spans = genai.test_span(now_us, TEST_SPAN, self._namespace)
        return self.send(destination, spans, now_us=now_us, test=True, checked=True)

    def send(
        self,
        destination: Destination,
        spans: ResourceSpans,
        *,
        now_us: int,
        test: bool,
        checked: bool = False,
    ) -> Report:
        """Send spans outside the ledger and report the answer; raises nothing but programming mistakes.

        Where it is `checked`, a type that can asks about the credential first, and reads the span back.
        """
        trace_id = spans.spans[0].trace_id
        checks = _Checks(
            credential=destination.credential_check(now_us) if checked else None,
            data=destination.data_check(trace_id, now_us) if checked else None,
            metrics=self._metrics(destination, spans, now_us) if checked else None,
        )
        batch = Batch(id=spans.spans[0].span_id, at_us=now_us, pieces=(destination.encode(spans),), test=test)
        found = send_once(
            self._policy,
            lambda door: self._exchange(Lender(door, self._identity), destination, checks, batch),
            tls=self._tls,
        )
        # A test span is no request: whoever looks for it at the vendor needs its trace.
        link = destination.trace_url(trace_id, now_us) if found.ok else None
        shown = {**found.evidence, "trace_url": link} if link else found.evidence
        return replace(found, evidence=shown, warnings=dict(destination.warnings()))

    async def _exchange(
        self, transport: Lender, destination: Destination, checks: "_Checks", batch: Batch
    ) -> Report:
        """Ask about the credential, send the span and look for it there, as far as the type says how.

        Where metrics are on, one point of these is sent last.
        """
        secrets = destination.secret_values()
        if checks.credential is not None:
            answer = await self._answer(transport, checks.credential)
            if isinstance(answer, Report):
                return answer
            problem = destination.judge_credential(answer)
            if problem is not None:
                return report.credential_report(problem, answer, secrets=secrets)
        response = await self._answer(transport, destination.request(batch))
        if isinstance(response, Report):
            return response
        outcome = destination.judge(response)
        found = report.judged_report(
            outcome,
            response,
            hints=destination.hints,
            secrets=secrets,
            credential_proved=checks.credential is not None,
            ingest_proves=destination.ingest_proves,
        )
        if found.ok and checks.data is not None:
            found = await self._read_back(transport, destination, checks.data, found)
        if not found.ok or checks.metrics is None:
            return found
        measured = await self._answer(transport, checks.metrics)
        if isinstance(measured, Response):
            outcome = judge_otlp(measured, "points")
            measured = report.judged_report(outcome, measured, hints=destination.hints, secrets=secrets)
        return report.metrics_report(found, measured)

    def _metrics(self, destination: Destination, spans: ResourceSpans, now_us: int) -> Request | None:
        """Return an export of one marked point, None where metrics are off."""
        if destination.metrics_every_s() is None:
            return None
        frame = Frame(self._namespace, spans.resource, since_us=now_us, at_us=now_us)
        encoded = otlp_metrics.ENCODERS[destination.metrics_encoding()](otlp_metrics.probe(frame))
        return destination.metrics_request(encoded)

    async def _read_back(
        self, transport: Lender, destination: Destination, check: Request, found: Report
    ) -> Report:
        """Look for an accepted span at the vendor, a few times; what does not answer tells nothing."""
        seen: bool | None = None
        for wait_s in self._read_back_s:
            await asyncio.sleep(wait_s)
            answer = await self._answer(transport, check)
            seen = None if isinstance(answer, Report) else destination.judge_data(answer)
            if seen is not False:
                break
        return report.read_back_report(found, seen=seen)

    async def _answer(self, transport: Lender, request: Request) -> Response | Report:
        """Return the answer to one request, or the report of having got none."""
        host = urlsplit(request.url).hostname or ""
        started = time.monotonic()
        try:
            return await transport.send(request, deadline_s=self._deadline_s)
        except AddressRefused:
            return report.refused_report(host)
        except SendFailed as error:
            took_ms = (time.monotonic() - started) * 1000
            return report.failed_report(error, latency_ms=took_ms, host=host)

    # -- what passed -----------------------------------------------------------------------------

    def remember(self, workspace: Workspace, destination: Destination, *, now_us: int) -> str:
        """Keep a passed test's secrets, sealed, for ten minutes; return the fingerprint of its values."""
        secrets = destination.secrets()
        fingerprint = self._fingerprint(workspace, destination)
        sealed = self._vault.seal_secrets(
            secrets, workspace=workspace.uid, destination=fingerprint, address=destination.address()
        )
        with self._store.write() as conn:
            passed_tests.save(conn, workspace.id, fingerprint, sealed, now_us)
        return fingerprint

    def recall(
        self,
        workspace: Workspace,
        cls: type[Destination],
        plain: Mapping[str, Any],
        fingerprint: str,
        *,
        now_us: int,
    ) -> Destination | None:
        """Return the tested destination, secrets included, when exactly these settings passed, else None."""
        with self._store.read() as conn:
            sealed = passed_tests.find(conn, workspace.id, fingerprint, now_us - _PASSED_US)
        if sealed is None:
            return None
        address = cls.parse(plain, secrets_required=False).address()
        try:
            secrets = self._vault.open_secrets(
                sealed, workspace=workspace.uid, destination=fingerprint, address=address
            )
        except VaultError:
            return None
        tested = cls.parse({**plain, **opened(cls, secrets)})
        return tested if hmac.compare_digest(self._fingerprint(workspace, tested), fingerprint) else None

    def require_passed(self, destination: Destination, *, now_us: int) -> Report:
        """Test now and raise `GateClosed` with the report unless the test passes."""
        found = self.probe(destination, now_us=now_us)
        if not found.ok:
            raise GateClosed(found)
        return found

    def _fingerprint(self, workspace: Workspace, destination: Destination) -> str:
        tested = [workspace.uid, type(destination).__name__, destination.plain(), destination.secrets()]
        document = json.dumps(tested, sort_keys=True, ensure_ascii=False).encode()
        return hmac.digest(self._key, document, "sha256").hex()


@dataclass(frozen=True, kw_only=True)
class _Checks:
    """What a test asks besides sending the span."""

    credential: Request | None
    data: Request | None
    metrics: Request | None


def opened(cls: type[Destination], secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return what the vault gave back as settings: headers were sealed as one JSON object."""
    headers = {spec.outside for spec in cls.specs() if spec.kind == "headers"}
    return {name: json.loads(value) if name in headers else value for name, value in secrets.items()}
