"""What tests of the store put into it."""

from typing import Any

from broadcast import receipt_parser
from broadcast.receipt import Receipt
from broadcast.store import Conn, cursors, destinations, receipts, users, workspaces
from broadcast.store.receipts import NewReceipt
from broadcast.store.workspaces import Workspace

NOW_US = 1_763_700_000_000_000


def a_workspace(conn: Conn, name: str = "Team", *, broadcast: bool = True) -> Workspace:
    made = workspaces.create(conn, name=name, content_key=b"sealed", demo=False, now_us=NOW_US)
    workspaces.set_broadcast(conn, made.id, broadcast)
    return made


def a_user(conn: Conn, email: str = "ada@example.com") -> users.User:
    return users.create(conn, email=email, password_hash="$argon2$", now_us=NOW_US)


def a_receipt(
    name: str,
    *,
    content: bytes | None = None,
    at_us: int = NOW_US,
    trace_id: str = "0" * 32,
    document: bytes | None = None,
    **more: Any,
) -> NewReceipt:
    values: dict[str, Any] = {"status": "succeeded", "model": "demo/echo", "duration_us": 1000, **more}
    return NewReceipt(
        id=name,
        fingerprint=name.encode(),
        created_at_us=at_us,
        received_at_us=NOW_US,
        trace_id=trace_id,
        document=document or b'{"id":"' + name.encode() + b'"}',
        content=content,
        content_expires_at_us=NOW_US + 1000,
        **values,
    )


def a_row_of(one: Receipt) -> NewReceipt:
    """Return a receipt as ingest stores it, with the columns that filters and sums read."""
    return a_receipt(
        one.id,
        at_us=one.created_at_us,
        document=receipt_parser.document(one),
        status=one.status,
        model=one.model,
        cost_nano_usd=one.cost.total_nano_usd if one.cost else None,
        input_tokens=one.usage.input_tokens if one.usage else None,
        output_tokens=one.usage.output_tokens if one.usage else None,
        user=one.user,
        session_id=one.session_id,
    )


def append(conn: Conn, workspace_id: int, *rows: NewReceipt) -> None:
    head = workspaces.lock_head(conn, workspace_id)
    receipts.append(conn, workspace_id, head + 1, rows)


def append_some(conn: Conn, workspace_id: int, count: int, prefix: str = "gen") -> None:
    head = workspaces.lock_head(conn, workspace_id)
    rows = [a_receipt(f"{prefix}-{number}") for number in range(head + 1, head + 1 + count)]
    receipts.append(conn, workspace_id, head + 1, rows)


def a_destination(conn: Conn, workspace_id: int, name: str = "Collector", **more: Any) -> int:
    """Store a destination with a cursor at the head."""
    id_ = destinations.insert(
        conn,
        uid=destinations.new_uid(),
        workspace_id=workspace_id,
        type="otel-collector",
        name=name,
        config={"endpoint": "https://collector.example"},
        masks={"headers": {"authorization": "Bear…1234"}},
        sealed=b"sealed",
        address=("https://collector.example/v1/traces",),
        now_us=NOW_US,
        **more,
    )
    cursors.start(conn, id_, workspace_id, workspaces.lock_head(conn, workspace_id), NOW_US)
    return id_
