"""The tables of links given to people: to join a workspace, to choose a new password."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text

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
