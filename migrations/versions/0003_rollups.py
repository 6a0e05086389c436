"""Sums of requests by hour and by day, and how far each log has been added up."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rollup_places",
        sa.Column("workspace_id", Int64, autoincrement=False, nullable=False),
        sa.Column("rolled_seq", Int64, nullable=False),
        *_of_workspace("rollup_places"),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_rollup_places")),
    )
    groups = ("model", "provider", "api_key_hash", "api_key_name", "status", "capabilities")
    sums = ("requests", "unpriced", "spend_nano_usd", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    op.create_table(
        "rollups",
        sa.Column("workspace_id", Int64, autoincrement=False, nullable=False),
        sa.Column("hours", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_us", Int64, autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in groups),
        *(sa.Column(name, Int64, nullable=False) for name in sums),
        sa.Column("latency", sa.LargeBinary(), nullable=False),
        sa.Column("first_token", sa.LargeBinary(), nullable=False),
        *_of_workspace("rollups"),
        sa.PrimaryKeyConstraint("workspace_id", "hours", "at_us", "key", name=op.f("pk_rollups")),
    )
    sums = ("requests", "errors", "unpriced", "spend_nano_usd", "input_tokens", "output_tokens")
    op.create_table(
        "facets",
        sa.Column("workspace_id", Int64, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hours", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_us", Int64, autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        *(sa.Column(name, Int64, nullable=False) for name in sums),
        *_of_workspace("facets"),
        sa.PrimaryKeyConstraint("workspace_id", "name", "hours", "at_us", "value", name=op.f("pk_facets")),
    )
    op.create_table(
        "sessions",
        sa.Column("workspace_id", Int64, autoincrement=False, nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("first_at_us", Int64, nullable=False),
        sa.Column("last_at_us", Int64, nullable=False),
        *(sa.Column(name, Int64, nullable=False) for name in sums),
        *_of_workspace("sessions"),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_newest", "sessions", ["workspace_id", "last_at_us", "session_id"])


def _of_workspace(table: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f(f"fk_{table}_workspace_id_workspaces")
        )
    ]
