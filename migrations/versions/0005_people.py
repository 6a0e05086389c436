"""Links given to people: to join a workspace, to choose a new password."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", Int64, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("uid", "token_hash")),
        sa.Column("workspace_id", Int64, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("email", "role")),
        *(sa.Column(name, Int64, nullable=False) for name in ("invited_by", "created_at_us", "expires_at_us")),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name=op.f("ck_invitations_role")),
        _foreign_key("invitations", "workspace_id", "workspaces"),
        _foreign_key("invitations", "invited_by", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("uid", name=op.f("uq_invitations_uid")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_table(
        "password_resets",
        sa.Column("id", Int64, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        *(sa.Column(name, Int64, nullable=False) for name in ("user_id", "created_at_us", "expires_at_us")),
        _foreign_key("password_resets", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_resets")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_password_resets_token_hash")),
    )
    for table, column in (
        ("invitations", "workspace_id"),
        ("invitations", "expires_at_us"),
        ("password_resets", "user_id"),
        ("password_resets", "expires_at_us"),
    ):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"))
