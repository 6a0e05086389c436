"""Store: one database, its transactions, and its migrations."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Final, Self

from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from broadcast.errors import Unavailable, Unstorable
from broadcast.store import clock, liveness, schema, wake
from broadcast.store.engines import open_engines
from broadcast.store.spent import Spent

Conn = Connection
"""A connection inside a transaction; outside the store it is only passed on."""

_MIGRATION_LOCK = 0x62726F6164636173


class Store:
    """One database; readers and writers are apart because SQLite's writers must never begin as readers."""

    def __init__(self, url: str, readers: Engine, writers: Engine) -> None:
        self._readers = readers
        self._writers = writers
        self._glances = writers.execution_options(isolation_level="AUTOCOMMIT")
        self.dialect = make_url(url).get_backend_name()
        self._bell = wake.open_bell(url)
        self._url = url
        self._own: set[str] = set()
        self.spent = Spent()

    @classmethod
    def open(cls, url: str) -> Self:
        """Return the store of a database; nothing is asked of a server before the first use."""
        return cls(url, *open_engines(url))

    def close(self) -> None:
        """Close every connection; whoever waits for receipts wakes up."""
        self._bell.close()
        self._readers.dispose()
        self._writers.dispose()

    @contextlib.contextmanager
    def read(self) -> Iterator[Conn]:
        """Open a transaction that sees one state of the database and cannot change it."""
        with self.spent.on("read"), _translated(), self._readers.connect() as conn, conn.begin():
            yield conn

    @contextlib.contextmanager
    def glance(self) -> Iterator[Conn]:
        """Lend a connection for reading where statements need not see one state.

        A server is spared the two round trips of a transaction; within the process there is nothing to spare.
        """
        if self.dialect == "sqlite":
            with self.read() as conn:
                yield conn
        else:
            # A transaction in name alone: its end is where a connection that was lost is found out.
            with self.spent.on("read"), _translated(), self._glances.connect() as conn, conn.begin():
                yield conn

    @contextlib.contextmanager
    def write(self) -> Iterator[Conn]:
        """Open a transaction that is durable once the block is left, and undone if the block raises."""
        with self.spent.on("write"), _translated(), self._writers.connect() as conn, conn.begin():
            yield conn

    def now_us(self, conn: Conn) -> int:
        """Return the database's clock."""
        return clock.now_us(conn)

    # -- waking ----------------------------------------------------------------------------------

    def notify(self, conn: Conn, workspace_ids: Iterable[int] = ()) -> None:
        """Wake every worker when this transaction commits, for these workspaces or for all.

        SQLite's workers see the commit by themselves.
        """
        if self.dialect == "postgresql":
            named = ",".join(map(str, workspace_ids))
            payload = named if len(named) <= wake.MAX_PAYLOAD else ""
            conn.execute(_NOTIFY, {"channel": wake.CHANNEL, "payload": payload})

    def wait_for_receipts(self, timeout_s: float) -> wake.Ring | None:
        """Block until something was committed since the last call; return None when the time is over."""
        return self._bell.wait(timeout_s)

    # -- workers that are alive --------------------------------------------------------------------

    @contextlib.contextmanager
    def hold(self, holder: str) -> Iterator[liveness.Hold]:
        """Hold a lock that dies with this process, so that others may take its leases at once."""
        with liveness.hold(self, self._url, holder) as held:
            self._own.add(holder)
            try:
                yield held
            finally:
                self._own.discard(holder)

    def dead_holders(self, conn: Conn) -> set[str]:
        """Return the workers known to the database whose lock is free; never one of this very process.

        A server that was restarted has forgotten our lock: we live all the same.
        """
        return liveness.dead_holders(conn, self._url) - self._own

    def living_and_dead(self, conn: Conn) -> tuple[set[str], set[str]]:
        """Return the workers known to the database, apart."""
        dead = self.dead_holders(conn)
        return liveness.listed(conn) - dead, dead

    # -- schema ------------------------------------------------------------------------------------

    def migrate(self) -> None:
        """Bring the schema to the newest version; safe when several processes do it at once."""
        with self.write() as conn:
            if self.dialect == "postgresql":
                conn.execute(text("SET LOCAL lock_timeout = 0"))
                conn.execute(text("SET LOCAL statement_timeout = 0"))
                conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            schema.migrate(conn)

    def schema_fault(self) -> schema.SchemaFault | None:
        """Return why this program cannot work on the schema, None where it can."""
        with self.read() as conn:
            return schema.fault(conn)


@contextlib.contextmanager
def apart(conn: Conn) -> Iterator[None]:
    """Do something that may fail without what was done before it; `Unavailable` is the database's state."""
    with _translated(), conn.begin_nested():
        yield


_NOTIFY: Final = text("SELECT pg_notify(:channel, :payload)")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise `Unavailable` for the database's state, `Unstorable` for a value that came from outside."""
    try:
        yield
    except PoolTimeoutError as error:
        raise Unavailable("The database is busy.") from error
    except (OperationalError, InterfaceError, InternalError) as error:
        raise Unavailable("The database is not available.") from error
    except DataError as error:
        raise Unstorable from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("The connection to the database was lost.") from error
        raise
