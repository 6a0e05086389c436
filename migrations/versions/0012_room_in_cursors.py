"""Room in the pages of cursors: PostgreSQL then changes a row beside the old one and touches no index.

Each send changes its cursor twice; in a full page each change was an entry in every index, and a third of
what the server spent on delivery. Pages that are there already get room as their rows change.
"""

from alembic import context, op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if context.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE cursors SET (fillfactor = 50)")
