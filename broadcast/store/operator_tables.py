"""The operator's export, once: what every workspace gets, and how far that has been carried."""

from sqlalchemy import CheckConstraint, Column, Integer, LargeBinary, Table

from broadcast.store.tables import Int64, Json, metadata

operator_exports = Table(
    "operator_exports",
    metadata,
    # One row, which is locked by whoever declares, carries on, or makes a workspace.
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Columns of a destination; None where nothing is declared.
    Column("settings", Json),
    Column("address", Json, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    # Workspaces up to this one have it as declared; None when all have.
    Column("done_workspace_id", Int64),
    # Counts how often all processes were asked to read their files again.
    Column("reloads", Int64, nullable=False),
    Column("declared_at_us", Int64, nullable=False),
    CheckConstraint("id = 1", name="one"),
)
