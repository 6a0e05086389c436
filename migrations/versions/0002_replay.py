"""Replays, notices, and what delivery keeps of doubtful answers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("notify_email", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("workspaces", sa.Column("notify_webhook", sa.LargeBinary()))
    op.add_column("workspaces", sa.Column("notify_webhook_host", sa.Text()))
    op.add_column("cursors", sa.Column("doubts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("cursors", sa.Column("replay_id", Int64))
    op.add_column("attempts", sa.Column("replay_id", Int64))
    op.add_column("dead_letters", sa.Column("replay_id", Int64))
    _replays()
    _notices()


def _replays() -> None:
    counters = ("position", "total", "delivered", "sampled_out", "filtered", "rejected", "expired", "left_out")
    op.create_table(
        "replays",
        sa.Column("id", Int64, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("workspace_id", Int64, nullable=False),
        sa.Column("destination_id", Int64, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("from_seq", Int64, nullable=False),
        sa.Column("to_seq", Int64, nullable=False),
        sa.Column("seqs", sa.LargeBinary()),
        sa.Column("include_delivered", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        *(sa.Column(name, Int64, nullable=False) for name in counters),
        sa.Column("requested_by", Int64),
        sa.Column("created_at_us", Int64, nullable=False),
        sa.Column("ended_at_us", Int64),
        sa.CheckConstraint(
            "source IN ('range', 'list', 'dead_letters', 'backfill')", name=op.f("ck_replays_source")
        ),
        sa.CheckConstraint("state IN ('running', 'done', 'stopped')", name=op.f("ck_replays_state")),
        sa.CheckConstraint(
            "position = delivered + sampled_out + filtered + rejected + expired + left_out",
            name=op.f("ck_replays_balanced"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_replays_workspace_id_workspaces")
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name=op.f("fk_replays_destination_id_destinations")
        ),
        sa.ForeignKeyConstraint(["requested_by"], ["users.id"], name=op.f("fk_replays_requested_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
        sa.UniqueConstraint("uid", name=op.f("uq_replays_uid")),
    )
    op.create_index("ix_replays_newest", "replays", ["destination_id", "id"])
    op.create_index(
        "uq_replays_running",
        "replays",
        ["destination_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", Int64, nullable=False),
        sa.Column("workspace_id", Int64, nullable=False),
        sa.Column("destination_id", Int64, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at_us", Int64, nullable=False),
        sa.Column("mailed_at_us", Int64),
        sa.Column("posted_at_us", Int64),
        sa.Column("due_at_us", Int64, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("ended_at_us", Int64),
        sa.CheckConstraint("kind IN ('needs_attention', 'resumed')", name=op.f("ck_notices_kind")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_notices_workspace_id_workspaces")
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name=op.f("fk_notices_destination_id_destinations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_workspace_id"), "notices", ["workspace_id"])
    op.create_index(op.f("ix_notices_due_at_us"), "notices", ["due_at_us"])
