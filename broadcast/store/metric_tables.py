"""The tables of metrics: how far each destination's have been counted, and what they have come to."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from broadcast.store.tables import Int64, metadata

metric_places = Table(
    "metric_places",
    metadata,
    # A destination whose metrics are on; the row goes when they are switched off.
    Column("destination_id", Int64, ForeignKey("destinations.id"), primary_key=True, autoincrement=False),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False),
    Column("every_s", Integer, nullable=False),
    Column("since_at_us", Int64, nullable=False),
    Column("counted_seq", Int64, nullable=False),
    # When they are sent next; moved ahead by whoever takes them, so that no two workers send the same.
    Column("due_at_us", Int64, nullable=False, index=True),
    Column("failures", Integer, nullable=False),
    Column("last_sent_at_us", Int64),
    Column("last_error_at_us", Int64),
    Column("last_error_status_code", Integer),
    Column("last_error_reason", Text),
)
Index("ix_metric_places_counted", metric_places.c.workspace_id, metric_places.c.counted_seq)

metric_series = Table(
    "metric_series",
    metadata,
    Column("destination_id", Int64, ForeignKey("destinations.id"), primary_key=True, autoincrement=False),
    # A digest of the labels; empty for the series that takes what the cap leaves without one.
    Column("key", LargeBinary, primary_key=True),
    # Labels, sums and buckets as JSON: they are only ever read and written together.
    Column("document", LargeBinary, nullable=False),
)
