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
    # What was added up before says nothing of values that are not told apart: these hours are looked through.
    op.execute(
        "INSERT INTO facets (workspace_id, name, hours, at_us, value, requests, errors, unpriced,"
        " spend_nano_usd, input_tokens, output_tokens) SELECT DISTINCT workspace_id, 'trace', 1, at_us, '',"
        " 0, 0, 0, 0, 0, 0 FROM rollups WHERE hours = 1 ON CONFLICT DO NOTHING"
    )
