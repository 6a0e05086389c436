"""The operator's export: what every workspace gets besides its own destinations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("destinations", sa.Column("tuning", sa.JSON(none_as_null=True)))
    op.create_table(
        "operator_exports",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("settings", sa.JSON(none_as_null=True)),
        sa.Column("address", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("done_workspace_id", Int64),
        *(sa.Column(name, Int64, nullable=False) for name in ("reloads", "declared_at_us")),
        sa.CheckConstraint("id = 1", name=op.f("ck_operator_exports_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_exports")),
    )
