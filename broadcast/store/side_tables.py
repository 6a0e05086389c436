"""The small tables beside the log: who was told and who did what, tests that passed, limits, workers."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from broadcast.store.tables import Int64, Json, metadata

notices = Table(
    "notices",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False, index=True),
    Column("destination_id", Int64, ForeignKey("destinations.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    # Each way out on its own; None until it is done or given up.
    Column("mailed_at_us", Int64),
    Column("posted_at_us", Int64),
    Column("due_at_us", Int64, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("ended_at_us", Int64),
    CheckConstraint("kind IN ('needs_attention', 'resumed')", name="kind"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("workspace_id", Int64, ForeignKey("workspaces.id")),
    Column("user_id", Int64, ForeignKey("users.id")),
    Column("at_us", Int64, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", Json, nullable=False),
)
Index("ix_audit_log_newest", audit_log.c.workspace_id, audit_log.c.id)

passed_tests = Table(
    "passed_tests",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    Column("fingerprint", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("at_us", Int64, nullable=False, index=True),
)

limits = Table(
    "limits",
    metadata,
    Column("key", Text, primary_key=True),
    Column("window_start_us", Int64, nullable=False),
    Column("ends_at_us", Int64, nullable=False, index=True),
    Column("hits", Int64, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("started_at_us", Int64, nullable=False),
    Column("seen_at_us", Int64, nullable=False),
    # What it is at, every few seconds: names and figures, for whoever operates it.
    Column("gauges", Json),
)

# No foreign key: what a worker counted outlives it, under no holder at all.
worker_counters = Table(
    "worker_counters",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Int64, nullable=False),
)
