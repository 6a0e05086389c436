"""Receipts and contents without a foreign key of their own: the head that every append moves has one.

To ask for the workspace again with each row was a tenth of what PostgreSQL's server spent on ingest, and a
twentieth of what SQLite did.
"""

import contextlib
import re

from alembic import op
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES = ("receipts", "contents")


def upgrade() -> None:
    conn = op.get_bind()
    for table in _TABLES:
        if conn.dialect.name == "postgresql":
            op.drop_constraint(f"fk_{table}_workspace_id", table, type_="foreignkey")
        else:
            _drop_in_place(conn, table)


def _drop_in_place(conn: Connection, table: str) -> None:
    """Take the constraint out of the table's text: no row changes, and a long log is not copied.

    So SQLite describes it (https://www.sqlite.org/lang_altertable.html, read 2026-11-22). Apple's SQLite guards
    the text (https://github.com/element-hq/synapse/issues/19616, read 2026-11-22): there the key stays, which
    costs time and nothing else.
    """
    of_table = {"table": table}
    written = conn.execute(text("SELECT sql FROM sqlite_master WHERE name = :table"), of_table).scalar_one()
    constraint = rf",\s*CONSTRAINT fk_{table}_workspace_id FOREIGN KEY\(workspace_id\) REFERENCES workspaces \(id\)"
    version = conn.execute(text("PRAGMA schema_version")).scalar_one()
    conn.execute(text("PRAGMA writable_schema = ON"))
    with contextlib.suppress(DatabaseError):
        conn.execute(
            text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = :table"),
            of_table | {"sql": re.sub(constraint, "", written)},
        )
        # Every connection, this one too, reads the schema again.
        conn.execute(text(f"PRAGMA schema_version = {version + 1}"))
    conn.execute(text("PRAGMA writable_schema = OFF"))
