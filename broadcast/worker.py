"""The worker process: scheduler, event loop, clean stop.            doors: apscheduler, uvloop."""

import asyncio
import contextlib
import gc
import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from broadcast import rollup
from broadcast.agenda import Agenda
from broadcast.delivery import CLAIM, Delivery
from broadcast.errors import Unavailable
from broadcast.lending import Lender
from broadcast.metric_export import MetricExport
from broadcast.notices import Notifier
from broadcast.retention import Retention
from broadcast.shares import Shares
from broadcast.store import Conn, passed_tests, receipts
from broadcast.transport import Transport
from broadcast.worker_report import WorkerReport

if TYPE_CHECKING:
    from broadcast.runtime import Services
    from broadcast.store.liveness import Hold

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # there is none for Windows
    from asyncio import new_event_loop

RENEW_S: Final = 5
STOP_S: Final = 15.0
_NOTICES_S: Final = 5
_REPORT_S: Final = 5
_RETENTION_S: Final = 60
_ROLLUP_S: Final = 1
_SWEEP_S: Final = 60
"""How long a few receipts wait to be added up: until then whoever reads counts them, which costs less."""

_METRICS_S: Final = 1
_BREATH_S: Final = 0.1
"""Between two steps of retention, so that ingest always finds the database free."""

_SHORT_BREATH_S: Final = 0.025
"""The same between two steps of rollup, which are as much shorter."""

_TICK_S: Final = 1.0
_SHORTEST_S: Final = 0.02
_IDLE_S: Final = 1.0
"""The longest sleep of the loop: it looks even when no bell was heard."""

_HOUSEKEEPING_S: Final = 60
_CONTENTS_S: Final = 5
_PASSED_TESTS_US: Final = 10 * 60 * 1_000_000
_CONTENTS_AT_ONCE: Final = 1_000
_YOUNG_OBJECTS: Final = 20_000
"""New ones after which cycles are looked for: a round's sends make a few thousand, and leave none behind."""

_log: Final = logging.getLogger(__name__)


def run(services: "Services", on_hangup: Callable[[], None] = lambda: None) -> None:
    """Deliver receipts until SIGTERM or Ctrl-C; what is in flight is finished first."""
    # What is loaded by now stays. To look through that, and through all that is under way, over and over
    # would cost a sixth of a busy worker.
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(services, on_hangup))


async def _run(services: "Services", on_hangup: Callable[[], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    await serve(services, stopping)


async def serve(services: "Services", stopping: asyncio.Event) -> None:
    """Deliver receipts until `stopping` is set."""
    holder = str(uuid.uuid4())
    with services.store.hold(holder) as hold:
        async with Transport(services.policy) as transport:
            await _Worker(services, transport, holder, hold, stopping).work()
    _log.info("action=worker_stopped holder=%s", holder)


class _Worker:
    """One worker: a loop that claims when it is woken, and a scheduler for what happens by the clock."""

    def __init__(
        self,
        services: "Services",
        transport: Transport,
        holder: str,
        hold: "Hold",
        stopping: asyncio.Event,
    ) -> None:
        self._services = services
        self._store = services.store
        self._holder = holder
        self._hold = hold
        self._stopping = stopping
        self._awake = asyncio.Event()
        self._look_for_dead = True
        self._happened: set[int] = set()
        self._shares = Shares(holder)
        self._agenda = Agenda(CLAIM)
        self._look_at = 0.0
        self._starting: asyncio.Task[None] | None = None
        self._delivery = Delivery(
            services.store,
            services.vault,
            services.types,
            Lender(transport, services.config.aws),
            namespace=services.config.service_name,
            holder=holder,
            clock=services.clock,
            wake=self._awake.set,
        )
        self._report = WorkerReport(services.store, holder, self._delivery.gauges)
        config = services.config
        self._retention = Retention(retention_us=config.retention_us, holder=holder)
        self._metric_export = MetricExport(
            services.store, services.vault, services.types, transport, namespace=config.service_name
        )
        self._notifier = Notifier(
            services.store,
            services.vault,
            transport,
            services.mailer,
            config.public_url,
            services.clock,
            types=services.types,
            retention_us=config.retention_us,
        )

    async def work(self) -> None:
        """Claim and deliver until told to stop; then finish what is in flight and leave no lease behind."""
        _log.info("action=worker_started holder=%s", self._holder)
        loop = asyncio.get_running_loop()
        bell = threading.Thread(target=self._listen, args=(loop,), name="worker-bell", daemon=True)
        bell.start()
        scheduler = self._scheduler()
        scheduler.start()
        stop = asyncio.create_task(self._stopping.wait())
        stop.add_done_callback(lambda _: self._awake.set())
        feeling = asyncio.create_task(self._report.feel())
        try:
            await self._loop()
        finally:
            stop.cancel()
            scheduler.shutdown(wait=False)
            with _logged("start"):
                await self._started()
            await self._finish()
            feeling.cancel()
            await self._tell()
            await asyncio.to_thread(bell.join)

    async def _loop(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                wait_s = await self._round()
            except Unavailable as error:
                _log.warning("action=store_unavailable reason=%s", error)
                wait_s = _TICK_S
            except Exception:  # noqa: BLE001 - logged; the next run tries again
                # Our own mistake in one round must not end the worker; the pause keeps it from spinning.
                _log.exception("action=round_failed")
                wait_s = _TICK_S
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), wait_s)

    async def _round(self) -> float:
        """Claim where something happened, and look everywhere once in a while; return how long to sleep."""
        loop = asyncio.get_running_loop()
        if self._look_for_dead:
            self._look_for_dead = False
            self._look_at = 0.0
            await self._delivery.round(look_for_dead=True)
        self._note()
        if loop.time() >= self._look_at:
            await self._look()
        places = self._agenda.take()
        if not places:
            await self._started()
            return 0.0 if self._awake.is_set() else self._look_at - loop.time()
        claims = await self._delivery.claim(places)
        self._agenda.found(places, len(claims))
        await self._started(asyncio.create_task(self._delivery.start(claims)))
        return 0.0

    async def _started(self, following: asyncio.Task[None] | None = None) -> None:
        """Wait until what was claimed before is on its way, while what follows is begun."""
        before, self._starting = self._starting, following
        if before is not None:
            await before

    def _note(self) -> None:
        """Put on the agenda what was heard, and where a batch of ours has hidden work from everybody."""
        heard, self._happened = self._happened, set()
        self._agenda.add(self._shares.mine(heard) | self._delivery.in_air(heard))
        ended = self._delivery.take_ended()
        if ended is None:
            self._look_at = 0.0
        else:
            self._agenda.add(ended)

    async def _look(self) -> None:
        """Look everywhere: at our share first, and at what others have left."""
        look = await self._delivery.look()
        ours = self._shares.mine(look.workspace_ids)
        self._agenda.add(sorted(look.workspace_ids, key=lambda id_: id_ not in ours))
        next_s = _IDLE_S if look.next_in_us is None else look.next_in_us / 1e6
        self._look_at = asyncio.get_running_loop().time() + min(_IDLE_S, max(_SHORTEST_S, next_s))

    async def _finish(self) -> None:
        """Let leases be renewed while the last sends end."""
        renewing = asyncio.create_task(self._renew_while_stopping())
        try:
            await asyncio.gather(self._delivery.stop(STOP_S), self._metric_export.finish(STOP_S))
        finally:
            renewing.cancel()

    async def _renew_while_stopping(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self._renew()

    # -- by the clock --------------------------------------------------------------------------------

    def _scheduler(self) -> AsyncIOScheduler:
        """Return what runs by the clock; a run that is still going when the next is due replaces it."""
        # Below ERROR it tells of each run begun and ended, every few seconds, and warns of a run left out
        # because the last one still goes, which is meant: each job looks afresh at all that there is. What
        # goes wrong inside a job is logged by `_logged`, and what the scheduler cannot run is an ERROR.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        scheduler.add_job(self._renew, "interval", seconds=RENEW_S)
        scheduler.add_job(self._tick, "interval", seconds=_TICK_S)
        scheduler.add_job(self._tell, "interval", seconds=_REPORT_S)
        scheduler.add_job(self._notices, "interval", seconds=_NOTICES_S)
        scheduler.add_job(self._retain, "interval", seconds=_RETENTION_S)
        scheduler.add_job(self._contents, "interval", seconds=_CONTENTS_S)
        scheduler.add_job(self._roll, "interval", seconds=_ROLLUP_S)
        scheduler.add_job(self._sweep, "interval", seconds=_SWEEP_S, jitter=_SWEEP_S // 4)
        scheduler.add_job(self._metrics, "interval", seconds=_METRICS_S)
        scheduler.add_job(self._housekeeping, "interval", seconds=_HOUSEKEEPING_S)
        return scheduler

    async def _renew(self) -> None:
        with _logged("renew"):
            if not await asyncio.to_thread(self._hold.keep):
                _log.warning("action=hold_lost holder=%s", self._holder)
            await self._delivery.renew()

    async def _tick(self) -> None:
        """See who lives, and look for what a dead worker left behind."""
        with _logged("tick"):
            living, dead = await asyncio.to_thread(self._others)
            self._shares.learn(living)
            if dead:
                self._look_for_dead = True
                self._awake.set()

    def _others(self) -> tuple[set[str], set[str]]:
        with self._store.read() as conn:
            return self._store.living_and_dead(conn)

    async def _tell(self) -> None:
        """Say what this worker is at, for whoever operates it."""
        with _logged("report"):
            await self._report.write(self._delivery.write)

    async def _contents(self) -> None:
        with _logged("contents"):
            await self._delivery.drop_settled_contents()

    async def _notices(self) -> None:
        with _logged("notices"):
            await self._notifier.send_due(self._delivery.write)

    async def _metrics(self) -> None:
        """Send the metrics that are due; a destination that hangs is not waited for."""
        with _logged("metrics"):
            await self._metric_export.start_due(self._delivery.write)

    async def _roll(self) -> None:
        """Add up the logs that are far behind, step by step."""
        with _logged("rollup"):
            await self._in_steps(partial(rollup.step, least=rollup.AT_ONCE), _SHORT_BREATH_S)

    async def _sweep(self) -> None:
        """Add up the logs of our share that are a little behind, in a fifth of the time at most."""
        loop = asyncio.get_running_loop()
        after_id: int | None = 0
        with _logged("sweep"):
            while after_id is not None and not self._stopping.is_set():
                begun = loop.time()
                step = partial(rollup.sweep, after_id=after_id, mine=self._shares.mine)
                after_id = await self._delivery.write(step)
                await asyncio.sleep(max(_BREATH_S, 4 * (loop.time() - begun)))

    async def _retain(self) -> None:
        """Let go of what is too old, step by step, until this round is over."""
        with _logged("retention"):
            await self._in_steps(self._retention_step)

    async def _in_steps(self, step: Callable[[Conn], bool], breath_s: float = _BREATH_S) -> None:
        """Do steps, each in a transaction of its own, until one says that this was all."""
        more = True
        while more and not self._stopping.is_set():
            more = await self._delivery.write(step)
            await asyncio.sleep(breath_s)

    def _retention_step(self, conn: Conn) -> bool:
        return self._retention.step(conn, self._store.now_us(conn))

    async def _housekeeping(self) -> None:
        with _logged("housekeeping"):
            await self._delivery.write(self._keep_house)

    def _keep_house(self, conn: Conn) -> None:
        now_us = self._store.now_us(conn)
        receipts.drop_expired_contents(conn, now_us, _CONTENTS_AT_ONCE)
        passed_tests.drop_older(conn, now_us - _PASSED_TESTS_US)

    # -- waking --------------------------------------------------------------------------------------

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the loop at once when a receipt is committed; runs in a thread of its own."""
        while not self._stopping.is_set():
            try:
                rang = self._store.wait_for_receipts(_TICK_S)
            except Exception:  # noqa: BLE001 - logged; the next run tries again
                _log.exception("action=bell_failed")
                time.sleep(_TICK_S)
                continue
            if rang is not None:
                loop.call_soon_threadsafe(self._heard, rang.workspace_ids)

    def _heard(self, workspace_ids: frozenset[int]) -> None:
        if workspace_ids:
            self._happened |= workspace_ids
        else:
            self._look_at = 0.0
        self._awake.set()


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what went wrong in a job; the next run tries again."""
    try:
        yield
    except asyncio.CancelledError:
        # The worker stops: the scheduler gives up what runs, and would call that an error.
        _log.debug("action=%s_given_up", what)
    except Unavailable as error:
        _log.warning("action=%s_waits reason=%s", what, error)
    except Exception:  # noqa: BLE001 - logged; the next run tries again
        _log.exception("action=%s_failed", what)
