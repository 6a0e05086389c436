"""Metrics of destinations: how far each has been counted, what it came to, when it was sent."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "metric_places",
        sa.Column("destination_id", Int64, autoincrement=False, nullable=False),
        sa.Column("workspace_id", Int64, nullable=False),
        sa.Column("every_s", sa.Integer(), nullable=False),
        *(sa.Column(name, Int64, nullable=False) for name in ("since_at_us", "counted_seq", "due_at_us")),
        sa.Column("failures", sa.Integer(), nullable=False),
        *(sa.Column(name, Int64) for name in ("last_sent_at_us", "last_error_at_us")),
        sa.Column("last_error_status_code", sa.Integer()),
        sa.Column("last_error_reason", sa.Text()),
        *(
            sa.ForeignKeyConstraint([name], [f"{table}.id"], name=op.f(f"fk_metric_places_{name}_{table}"))
            for name, table in (("destination_id", "destinations"), ("workspace_id", "workspaces"))
        ),
        sa.PrimaryKeyConstraint("destination_id", name=op.f("pk_metric_places")),
    )
    op.create_index("ix_metric_places_due_at_us", "metric_places", ["due_at_us"])
    op.create_index("ix_metric_places_counted", "metric_places", ["workspace_id", "counted_seq"])
    op.create_table(
        "metric_series",
        sa.Column("destination_id", Int64, autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name=op.f("fk_metric_series_destination_id_destinations")
        ),
        sa.PrimaryKeyConstraint("destination_id", "key", name=op.f("pk_metric_series")),
    )
