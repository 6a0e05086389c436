"""Destinations at a real receiver, made and filled through the API."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from broadcast.delivery import Delivery
from broadcast.fates import Fate, pack
from broadcast.store import attempts, dead_letters, destinations, leases
from broadcast.store.leases import Counts
from broadcast.transport import Transport
from tests.receiver import Receiver
from tests.web.api.conftest import Api

BASE = "/api/v1/observability/destinations"


def created(http: Api, receiver: Receiver, *, whole: bool = False, **body: Any) -> dict[str, Any]:
    """Make a collector whose test passes, and return it, or the whole answer."""
    given = {
        "type": "otel-collector",
        "name": "Collector",
        "config": {"endpoint": receiver.url("/ok"), "headers": {"Authorization": "Bearer s3cr3t-value"}},
        **body,
    }
    answer = http.call("POST", BASE, key=http.management_key, body=given)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json if whole else answer.json["data"]
    return made


def sent_receipts(http: Api, *ids: str) -> None:
    """Post receipts as a router does."""
    at = datetime.now(UTC).isoformat()
    body = [
        {"id": each, "created_at": at, "duration_ms": 12.5, "model": "m/x", "status": "succeeded"}
        for each in ids
    ]
    answer = http.call("POST", "/api/v1/receipts", key=http.api_key, body=body)
    assert answer.json["accepted"] == len(ids)


def settled(http: Api, uid: str, *words: str, verdict: str = "delivered") -> None:
    """Let a destination's cursor pass its next receipts, as delivery records it."""
    now_us = http.services.clock()
    outcome = [Fate(word) for word in words]
    with http.services.store.write() as conn:
        (claim,) = leases.claim(conn, holder="test")
        stored = destinations.by_id(conn, claim.destination_id)
        assert stored is not None
        assert stored.uid == uid
        first, last = claim.cursor_seq + 1, claim.cursor_seq + len(outcome)
        attempt_id = attempts.insert(
            conn,
            destination_id=stored.id,
            at_us=now_us,
            from_seq=first,
            to_seq=last,
            verdict=verdict,
            reason="200",
            config_version=1,
            delivered=outcome.count(Fate.DELIVERED),
            fates=pack(outcome),
        )
        counts = Counts(**{fate.value: outcome.count(fate) for fate in Fate})
        assert leases.settle(
            conn, destination_id=stored.id, token=claim.token, advance_to=last, counts=counts
        )
        for seq, fate in enumerate(outcome, first):
            if fate is Fate.REJECTED:
                dead_letters.insert(
                    conn,
                    destination_id=stored.id,
                    workspace_id=stored.workspace_id,
                    seq=seq,
                    receipt_id=f"r{seq}",
                    at_us=now_us,
                    reason="400 bad span",
                    attempt_id=attempt_id,
                )


def delivered(http: Api) -> None:
    """Run one round of delivery to its end, as the worker does."""
    services = http.services

    async def work() -> None:
        async with Transport(services.policy) as transport:
            delivery = Delivery(
                services.store,
                services.vault,
                services.types,
                transport,
                namespace=services.config.service_name,
                holder="test",
                clock=services.clock,
            )
            await delivery.round()
            while delivery.in_flight:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.005)
            await delivery.stop(1.0)

    asyncio.run(work())
