"""The tables of sums: requests by hour and by day, and how far each log has been added up."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from broadcast.store.tables import Int64, metadata

rollup_places = Table(
    "rollup_places",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    Column("rolled_seq", Int64, nullable=False),
)

rollups = Table(
    "rollups",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    # The length of the period in hours: 1 or 24, begun at a whole hour or day of UTC.
    Column("hours", Integer, primary_key=True, autoincrement=False),
    Column("at_us", Int64, primary_key=True, autoincrement=False),
    # A digest of the next six: together they may be longer than an index takes.
    Column("key", LargeBinary, primary_key=True),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("api_key_hash", Text, nullable=False),
    Column("api_key_name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("requests", Int64, nullable=False),
    Column("unpriced", Int64, nullable=False),
    Column("spend_nano_usd", Int64, nullable=False),
    Column("input_tokens", Int64, nullable=False),
    Column("output_tokens", Int64, nullable=False),
    Column("cached_tokens", Int64, nullable=False),
    Column("reasoning_tokens", Int64, nullable=False),
    Column("latency", LargeBinary, nullable=False),
    Column("first_token", LargeBinary, nullable=False),
)

facets = Table(
    "facets",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    # `user`; `trace.` and the name of a key that callers use; `trace` for keys that are not told apart.
    Column("name", Text, primary_key=True),
    Column("hours", Integer, primary_key=True, autoincrement=False),
    Column("at_us", Int64, primary_key=True, autoincrement=False),
    Column("value", Text, primary_key=True),
    Column("requests", Int64, nullable=False),
    Column("errors", Int64, nullable=False),
    Column("unpriced", Int64, nullable=False),
    Column("spend_nano_usd", Int64, nullable=False),
    Column("input_tokens", Int64, nullable=False),
    Column("output_tokens", Int64, nullable=False),
    # In an hour, the numbers of these requests, each with a comma behind it; none where they are many.
    Column("seqs", Text),
)

sessions = Table(
    "sessions",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    Column("session_id", Text, primary_key=True),
    Column("first_at_us", Int64, nullable=False),
    Column("last_at_us", Int64, nullable=False),
    Column("requests", Int64, nullable=False),
    Column("errors", Int64, nullable=False),
    Column("unpriced", Int64, nullable=False),
    Column("spend_nano_usd", Int64, nullable=False),
    Column("input_tokens", Int64, nullable=False),
    Column("output_tokens", Int64, nullable=False),
    # Not written any more: `session_days` has them.
    Column("seqs", Text),
)
Index("ix_sessions_newest", sessions.c.workspace_id, sessions.c.last_at_us, sessions.c.session_id)

session_days = Table(
    "session_days",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    Column("session_id", Text, primary_key=True),
    # The day of UTC; 0 for what was listed before days were told apart.
    Column("at_us", Int64, primary_key=True, autoincrement=False),
    # As in `facets`.
    Column("seqs", Text),
)
