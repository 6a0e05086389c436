"""The tables of how people get in: links given to them, and who they are at the identity provider."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text, UniqueConstraint

from broadcast.store.tables import Int64, metadata

invitations = Table(
    "invitations",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    # A row is a link that still opens the door: whoever uses, revokes or replaces it deletes the row.
    Column("token_hash", Text, nullable=False, unique=True),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False, index=True),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("invited_by", Int64, ForeignKey("users.id"), nullable=False),
    Column("created_at_us", Int64, nullable=False),
    Column("expires_at_us", Int64, nullable=False, index=True),
    CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="role"),
)

password_resets = Table(
    "password_resets",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("user_id", Int64, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at_us", Int64, nullable=False),
    Column("expires_at_us", Int64, nullable=False, index=True),
)

identities = Table(
    "identities",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("user_id", Int64, ForeignKey("users.id"), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("connected_at_us", Int64, nullable=False),
    UniqueConstraint("issuer", "subject"),
    # One place for each person at a provider: who is connected anew is no longer who they were there.
    UniqueConstraint("user_id", "issuer"),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("state_hash", Text, nullable=False, unique=True),
    Column("browser_hash", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("next", Text, nullable=False),
    Column("invitation_hash", Text),
    Column("created_at_us", Int64, nullable=False),
    Column("expires_at_us", Int64, nullable=False, index=True),
)
