"""The numbers of a session's requests, and of a facet's in an hour: where to look for them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("facets", "sessions"):
        op.add_column(table, sa.Column("seqs", sa.Text()))
