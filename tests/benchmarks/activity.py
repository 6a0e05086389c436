"""Activity: how long each view takes over a month of receipts, on both databases.

An hour of recorded arrivals is posted, then copied in the database to fill thirty days: other ids, other
times, also inside the documents. The sums are made by the rollup itself. A view is asked through the whole
application, so reading, adding up and drawing are in its time.
"""

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from flask.testing import FlaskClient
from sqlalchemy import text

from broadcast import rollup
from broadcast.runtime import Services
from broadcast.store import Conn, tables
from broadcast.store.workspaces import Workspace
from tests.benchmarks import fleet, path, workload
from tests.benchmarks.postgres import Postgres
from tests.benchmarks.table import Row
from tests.web.pages.conftest import csrf
from web import create_app

RECEIPTS: Final = 5_000_000
DAYS: Final = 30
TIMES: Final = 10
TARGET_MS: Final = 200.0
_DAY_US: Final = 86_400_000_000
VIEWS: Final = (
    "/activity",
    "/activity?window=week",
    "/activity?window=month",
    "/activity?window=all",
    "/activity?window=month&metric=latency",
    "/activity?window=month&by=user",
    "/activity?window=month&by=trace.feature",
    "/activity?window=month&model=openai/gpt-5&metric=tokens",
    "/activity?session=session-7",
    "/activity?window=month&session=session-7",
    "/activity?window=month&user=user-7",
    "/activity?window=month&trace.feature=assistant",
    "/sessions",
)
QUERIES: Final = ("/api/v1/usage", "/api/v1/requests?limit=100", "/api/v1/requests?model_id=openai/gpt-5")


def rows(arrivals_file: Path | None, count: int = RECEIPTS) -> list[Row]:
    """Return the rows of this file."""
    arrivals = workload.recorded(arrivals_file) if arrivals_file else workload.generated()
    made = list(_rows_of("SQLite", None, arrivals, count))
    with Postgres() as server:
        made += _rows_of("PostgreSQL", server.new_database("activity"), arrivals, count)
    return made


def _rows_of(name: str, url: str | None, arrivals: list[workload.Arrival], count: int) -> Iterator[Row]:
    with fleet.installation(url) as (services, _):
        (workspace,) = fleet.add_workspaces(services, 1)
        seeded = _seed(services, workspace, arrivals)
        copies = -(-count // seeded)
        _grow(services, workspace, seeded, copies)
        begun = time.monotonic()
        while services_step(services):
            pass
        rolled_s = time.monotonic() - begun
        total = seeded * copies
        yield Row(name=f"{name}: {total:,} receipts added up", unit="receipts/s", ours=total / rolled_s)
        for view, p95_ms in _timed(services, workspace):
            yield Row(
                name=f"{name}: {view}",
                unit="ms at p95",
                ours=p95_ms,
                target=TARGET_MS,
                absolute=True,
                at_most=True,
            )


def services_step(services: Services) -> bool:
    """Add up one step; return whether there is more."""
    with services.store.write() as conn:
        return rollup.step(conn)


def _seed(services: Services, workspace: Workspace, arrivals: list[workload.Arrival]) -> int:
    items = workload.receipts(arrivals, ends_us=services.clock())
    path.post(services, workspace, path.posts(items))
    return len(items)


def _grow(services: Services, workspace: Workspace, seeded: int, copies: int) -> None:
    """Copy the first receipts, each time a little earlier, until they fill the month."""
    names = [column.name for column in tables.receipts.columns]
    with services.store.write() as conn:
        document = _moved(conn)
        new = {
            "seq": "seq + :after",
            "id": "id || '-' || :after",
            "block": "(seq + :after) >> :bits",
            "created_at_us": "created_at_us - :earlier_us",
            "document": document,
        }
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(new.get(name, f'"{name}"') for name in names)
    statement = text(
        f"INSERT INTO receipts ({columns}) SELECT {values} FROM receipts"
        " WHERE workspace_id = :workspace_id AND seq <= :seeded"
    )
    move_head = text("UPDATE heads SET head_seq = head_seq + :seeded WHERE workspace_id = :workspace_id")
    here = {"workspace_id": workspace.id, "seeded": seeded}
    for number in range(1, copies):
        earlier_us = number * (DAYS - 1) * _DAY_US // copies
        more = {"after": seeded * number, "earlier_us": earlier_us, "bits": tables.BLOCK_BITS}
        with services.store.write() as conn:
            conn.execute(statement, here | more)
            conn.execute(move_head, here)
    with services.store.write() as conn:
        conn.exec_driver_sql("ANALYZE")


def _moved(conn: Conn) -> str:
    """Return a document whose time is another one, in the words of the database."""
    before, after = "'\"created_at_us\":' || {0}", "'\"created_at_us\":' || ({0} - :earlier_us)"
    pair = f"{before.format('created_at_us')}, {after.format('created_at_us')}"
    if conn.dialect.name == "sqlite":
        return f"CAST(replace(CAST(document AS TEXT), {pair}) AS BLOB)"
    return f"convert_to(replace(convert_from(document, 'UTF8'), {pair}), 'UTF8')"


def _timed(services: Services, workspace: Workspace) -> Iterator[tuple[str, float]]:
    app = create_app(services)
    client = app.test_client()
    _log_in(client)
    key = services.accounts.make_key(
        workspace_id=workspace.id,
        user_id=1,
        kind="management",
        name="bench",
        scopes=(),
        expires_at_us=None,
        now_us=services.clock(),
    )[0]
    # As the server does once it is built: its own objects are not looked through again and again.
    gc.collect()
    gc.freeze()
    for view in VIEWS:
        yield view, _p95_ms(lambda page=f"/w/{workspace.slug}{view}": client.get(page).status_code)  # type: ignore[misc]
    headers = {"Authorization": f"Bearer {key}"}
    for query in QUERIES:
        yield query, _p95_ms(lambda query=query: client.get(query, headers=headers).status_code)  # type: ignore[misc]


def _log_in(client: FlaskClient) -> None:
    token = csrf(client.get("/login").text)
    posted = {"csrf_token": token, "email": "bench@example.com", "password": fleet.PASSWORD}
    client.post("/login", data=posted)


def _p95_ms(ask: Callable[[], int]) -> float:
    """Return the nearest-rank 95th percentile of a few answers, the first left out: it warms up."""
    took = []
    for _ in range(TIMES + 1):
        begun = time.perf_counter()
        status = ask()
        took.append((time.perf_counter() - begun) * 1000)
        if status != 200:
            raise RuntimeError(f"The view answered {status}.")
    return sorted(took[1:])[-(-TIMES * 95 // 100) - 1]
