"""A worker that looks once at which metrics are due, for tests of what becomes of them."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from broadcast.metric_export import MetricExport
from broadcast.runtime import Services
from broadcast.sending import Sender
from broadcast.store import Conn, Store
from broadcast.transport import Transport
from broadcast.vault import Vault

_T = TypeVar("_T")


def export_of(services: Services) -> None:
    """Count and send what is due in an installation."""

    async def work() -> None:
        async with Transport(services.policy) as transport:
            await export_due(services.store, services.vault, services.types, transport, **_NAMED)

    asyncio.run(work())


_NAMED: dict[str, Any] = {"namespace": "openrouter"}


async def export_due(store: Store, vault: Vault, types: Any, sender: Sender, **options: Any) -> None:
    """Count and send what is due, to its end."""

    async def write(change: Callable[[Conn], _T]) -> _T:
        def commit() -> _T:
            with store.write() as conn:
                return change(conn)

        return await asyncio.to_thread(commit)

    worker = MetricExport(store, vault, types, sender, **options)
    await worker.start_due(write)
    await worker.finish(30.0)
