"""Metric export: send what each destination's metrics have come to, at its interval, beside the spans.

    due -> hold (30 s, against a second worker) -> count up to the head -> encode -> send -> record

Sums only grow and are kept with the place they were counted up to, so a send that fails, or is repeated after
a kill, is made good by the next one. Nothing of this touches the ledger of the spans: an error is shown with
the metrics, and tried again by the same back-off.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from broadcast import failpoints, metric_counting, otlp_metrics, outcomes, series
from broadcast.answers import Outcome, Remedy, Verdict, judge_otlp
from broadcast.batches import Builder
from broadcast.destination import Destination
from broadcast.errors import AddressRefused, BroadcastError, SendFailed, Unavailable, VaultError
from broadcast.genai import VERSION
from broadcast.genai_names import SERVICE_NAME, SERVICE_VERSION
from broadcast.notices import Write
from broadcast.otlp_metrics import Frame
from broadcast.sending import Sender
from broadcast.span import Attributes
from broadcast.store import Conn, Store, destinations, metrics, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.metrics import MetricPlace
from broadcast.variation import service_of
from broadcast.vault import Vault

HOLD_US: Final = 30_000_000
AT_ONCE: Final = 64
_BREATH_S: Final = 0.05
_SECOND_US: Final = 1_000_000
INSTANCE: Final = "service.instance.id"
_SELDOM: Final = (Remedy.ATTEND, Remedy.SPLIT)
"""Sums that were not taken cannot be halved as a batch can: somebody has to look."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What is to be sent of a destination's metrics, and to whom."""

    destination: Destination
    bodies: tuple[bytes, ...]


class MetricExport:
    """Sends the metrics that are due, each destination's in a task of its own."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        types: Mapping[str, type[Destination]],
        sender: Sender,
        *,
        namespace: str,
        now_us: Callable[[Conn], int] | None = None,
        at_once: int = metric_counting.AT_ONCE,
        series_limit: int = series.LIMIT,
    ) -> None:
        self._store = store
        self._vault = vault
        self._builder = Builder(store, vault, types, namespace=namespace)
        self._sender = sender
        self._namespace = namespace
        self._now_us = now_us or store.now_us
        self._at_once = at_once
        self._series_limit = series_limit
        self._flying: set[asyncio.Task[None]] = set()

    async def start_due(self, write: Write) -> int:
        """Take up what is due, and return how many destinations that was; none of them is waited for."""
        if not await asyncio.to_thread(self._any_due):
            return 0
        held = await write(self._hold_due)
        for place in held:
            task = asyncio.create_task(self._carry(place, write))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)
        return len(held)

    async def finish(self, timeout_s: float) -> None:
        """Wait for what is under way, and give up what takes longer; the next worker sends it again."""
        if self._flying:
            _, late = await asyncio.wait(self._flying, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # -- taking ------------------------------------------------------------------------------------

    def _any_due(self) -> bool:
        with self._store.read() as conn:
            return bool(metrics.due(conn, self._now_us(conn), 1))

    def _hold_due(self, conn: Conn) -> list[MetricPlace]:
        now_us = self._now_us(conn)
        found = metrics.due(conn, now_us, AT_ONCE - len(self._flying))
        held = []
        for place in found:
            if metrics.lock(conn, place.destination_id) is None:
                # Waiting for one while others are held is how two wait for each other.
                continue
            if _is_on(conn, place):
                held.append(metrics.hold(conn, place, now_us + HOLD_US))
            else:
                metrics.end(conn, place.destination_id)
        return [place for place in held if place is not None]

    # -- one destination -----------------------------------------------------------------------------

    async def _carry(self, place: MetricPlace, write: Write) -> None:
        """Count, send and record; what goes wrong here is only logged, and the hold ends by itself."""
        try:
            counted = await self._count(place, write)
            if counted is not None:
                outcome, size = await self._send(counted)
                _report(await write(partial(self._record, place=counted, outcome=outcome)), outcome, size)
        except Unavailable as error:
            _log.warning("action=metrics_wait reason=%s", error)
        except Exception:  # noqa: BLE001 - logged; the worker goes on, and the next run tries again
            _log.exception("action=metrics_failed destination_id=%s", place.destination_id)

    async def _count(self, place: MetricPlace, write: Write) -> MetricPlace | None:
        """Count up to the head, step by step; None when somebody else has taken over."""
        more, held = True, place
        while more:
            taken, more = await write(partial(self._step, place=held))
            if taken is None:
                return None
            held = taken
            await asyncio.sleep(_BREATH_S if more else 0)
        return held

    def _step(self, conn: Conn, *, place: MetricPlace) -> tuple[MetricPlace | None, bool]:
        if metrics.hold(conn, place, self._now_us(conn) + HOLD_US) is None:
            return None, False
        more = metric_counting.step(
            conn, place.destination_id, self._vault, at_once=self._at_once, series_limit=self._series_limit
        )
        return metrics.get(conn, place.destination_id), more

    async def _send(self, place: MetricPlace) -> tuple[Outcome | None, int]:
        """Return what the try came to, None where there was nothing to send, and how many bytes left."""
        try:
            made = await asyncio.to_thread(self._prepare, place)
        except Unavailable:
            raise
        except KeyError:
            reason = "This version does not know the destination's type."
            return Outcome(verdict=Verdict.REFUSED, reason=reason), 0
        except VaultError:
            reason = "A stored secret cannot be opened. Check BROADCAST_ENCRYPTION_KEYS."
            return Outcome(verdict=Verdict.REFUSED, reason=reason), 0
        except BroadcastError as error:
            reason = f"The stored settings are not valid: {error}"
            return Outcome(verdict=Verdict.REFUSED, reason=reason), 0
        except Exception as error:  # noqa: BLE001 - our own mistake is recorded, so that it is seen
            _log.exception("action=metrics_not_encoded destination_id=%s", place.destination_id)
            return Outcome(verdict=Verdict.REFUSED, reason=f"Encoding failed ({type(error).__name__})."), 0
        if made is None:
            return None, 0
        failpoints.reached("metrics_before_send")
        outcome, size = None, 0
        for body in made.bodies:
            outcome, sent_bytes = await self._once(made.destination, body)
            size += sent_bytes
            if not outcome.delivered:
                break
        return outcome, size

    def _prepare(self, place: MetricPlace) -> _Prepared | None:
        """Return what is to be sent now; None for nothing yet, or while a person holds the destination."""
        with self._store.read() as conn:
            # Switched off and on again meanwhile, they are no longer the same.
            held = metrics.get(conn, place.destination_id) == place
            stored = destinations.by_id(conn, place.destination_id)
            workspace = workspaces.by_id(conn, place.workspace_id)
            every, at_us = metrics.every(conn, place.destination_id), self._now_us(conn)
        if not held or stored is None or workspace is None or stored.paused_by == "person" or not every:
            return None
        destination = self._builder.open(workspace, stored)
        frame = Frame(
            namespace=self._namespace,
            resource=resource_of(stored, destination, self._namespace),
            since_us=place.since_at_us,
            at_us=at_us,
        )
        encoding, most = destination.metrics_encoding(), destination.max_bytes
        bodies = otlp_metrics.bodies(series.together(every), frame, encoding, most)
        return _Prepared(destination=destination, bodies=tuple(bodies))

    async def _once(self, destination: Destination, body: bytes) -> tuple[Outcome, int]:
        try:
            response = await self._sender.send(destination.metrics_request(body))
        except AddressRefused as error:
            return Outcome(verdict=Verdict.REFUSED, reason=str(error)), 0
        except SendFailed as error:
            return Outcome(verdict=Verdict.NO_ANSWER, reason=str(error)), 0
        outcome = judge_otlp(response, "points")
        return outcomes.scrubbed(destination, response, outcome), response.sent_bytes

    def _record(self, conn: Conn, *, place: MetricPlace, outcome: Outcome | None) -> str:
        """Record the try, and return whose it was.

        What has to be looked at by a person is tried again as seldom as spans are.
        """
        now_us = self._now_us(conn)
        good = outcome is None or outcome.delivered
        failures = 0 if good else place.failures + 1
        wait_us = place.every_s * _SECOND_US
        if outcome is not None and not good:
            attention = outcome.reason if outcome.remedy in _SELDOM else None
            # It spreads retries and keeps no secret.
            jitter = random.uniform(-1, 1)  # noqa: S311
            wait_us = outcomes.wait_us(failures, outcome, attention, jitter, now_us)
        metrics.record(
            conn,
            place,
            now_us=now_us,
            due_at_us=now_us + wait_us,
            failures=failures,
            sent=outcome is not None and good,
            status_code=None if outcome is None else outcome.status_code,
            error=None if outcome is None or outcome.verdict is Verdict.DELIVERED else outcome.reason,
        )
        stored = destinations.by_id(conn, place.destination_id)
        return "" if stored is None else stored.uid


def resource_of(stored: StoredDestination, destination: Destination, namespace: str) -> Attributes:
    """Return the resource of a destination's metrics: that of its spans, and who alone writes these series.

    Two destinations, or two workspaces, may send to one place: each is an instance of its own there.
    """
    return {
        **(stored.resource_attributes or {}),
        SERVICE_NAME: namespace,
        SERVICE_VERSION: VERSION,
        **service_of(stored),
        INSTANCE: stored.uid,
        **destination.resource_attributes(),
    }


def _is_on(conn: Conn, place: MetricPlace) -> bool:
    """Ask again: whoever switched it off may have been an older version, which knows of no metrics."""
    stored = destinations.by_id(conn, place.destination_id)
    workspace = workspaces.by_id(conn, place.workspace_id)
    if stored is None or workspace is None:
        return False
    return metric_counting.interval_s(stored, broadcast=workspace.broadcast_enabled) is not None


def _report(destination_uid: str, outcome: Outcome | None, size: int) -> None:
    if outcome is not None:
        _log.info(
            "action=metrics destination=%s verdict=%s status=%s bytes=%s reason=%s",
            destination_uid,
            outcome.verdict.value,
            outcome.status_code,
            size,
            outcome.reason,
        )
