"""Who people are at the identity provider, and sign-ins that are under way there."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "identities",
        *(sa.Column(name, Int64, nullable=False) for name in ("id", "user_id")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("issuer", "subject")),
        sa.Column("connected_at_us", Int64, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_identities_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identities_issuer_subject")),
        sa.UniqueConstraint("user_id", "issuer", name=op.f("uq_identities_user_id_issuer")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", Int64, nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("state_hash", "browser_hash", "nonce", "verifier", "next")
        ),
        sa.Column("invitation_hash", sa.Text()),
        *(sa.Column(name, Int64, nullable=False) for name in ("created_at_us", "expires_at_us")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_sign_ins_state_hash")),
    )
    op.create_index(op.f("ix_sign_ins_expires_at_us"), "sign_ins", ["expires_at_us"])
