"""The numbers of a session's requests by the day: a long session's list was written again for each request."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "session_days",
        sa.Column("workspace_id", Int64, autoincrement=False, nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("at_us", Int64, autoincrement=False, nullable=False),
        sa.Column("seqs", sa.Text()),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_session_days_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", "at_us", name=op.f("pk_session_days")),
    )
    # What is listed already is kept as one day; what is added from now on has its own.
    op.execute(
        "INSERT INTO session_days (workspace_id, session_id, at_us, seqs)"
        " SELECT workspace_id, session_id, 0, seqs FROM sessions WHERE seqs IS NOT NULL"
    )
