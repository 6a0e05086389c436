"""No index on when cursors are due: who is idle was due long ago, so it narrows nothing down.

It cost more than all the rest of an outcome: each one changed it, for a destination that waits for nothing.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_cursors_due_at_us"), table_name="cursors")
