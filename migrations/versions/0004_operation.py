"""What workers are at, and what they have counted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("workers", sa.Column("gauges", sa.JSON(none_as_null=True)))
    op.create_table(
        "worker_counters",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", Int64, nullable=False),
        sa.PrimaryKeyConstraint("holder", "name", name=op.f("pk_worker_counters")),
    )
