"""Every table, once.

Keys inside are 64-bit integers, ids for the outside are UUIDs in `uid`, instants are microseconds since 1970.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BLOCK_BITS: Final = 9
"""A block is 512 receipts: a search by trace id asks each block once, and blocks that were larger as well."""

Int64 = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the type reads INTEGER, which holds 64 bits there."""

Json = JSON(none_as_null=True)
_FATES: Final = ("delivered", "sampled_out", "filtered", "rejected", "expired")

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("broadcast_enabled", Boolean, nullable=False),
    Column("demo", Boolean, nullable=False),
    Column("content_key", LargeBinary, nullable=False),
    Column("created_at_us", Int64, nullable=False),
    # Who hears of a destination that needs attention: owners and admins by mail, and one address.
    Column("notify_email", Boolean, nullable=False, server_default=true()),
    Column("notify_webhook", LargeBinary),
    Column("notify_webhook_host", Text),
    Column("description", Text),
    # The maker's outside id, which stays when they leave.
    Column("created_by", Text),
    Column("updated_at_us", Int64),
    # Unreachable from then on, its secrets gone; the rows follow in small steps.
    Column("deleted_at_us", Int64),
)

heads = Table(
    "heads",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    Column("head_seq", Int64, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("last_workspace_id", Int64, ForeignKey("workspaces.id")),
    Column("created_at_us", Int64, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    Column("user_id", Int64, ForeignKey("users.id"), primary_key=True, autoincrement=False, index=True),
    Column("role", Text, nullable=False),
    CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="role"),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("user_id", Int64, ForeignKey("users.id"), nullable=False, index=True),
    Column("csrf", Text, nullable=False),
    Column("created_at_us", Int64, nullable=False),
    Column("seen_at_us", Int64, nullable=False),
    Column("expires_at_us", Int64, nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False, index=True),
    Column("user_id", Int64, ForeignKey("users.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("verifier", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at_us", Int64, nullable=False),
    Column("expires_at_us", Int64),
    Column("last_used_at_us", Int64),
    Column("revoked_at_us", Int64),
    # Switched off for now; a revoked one never comes back.
    Column("disabled", Boolean, nullable=False),
    Column("updated_at_us", Int64),
    CheckConstraint("kind IN ('api', 'management')", name="kind"),
)

destinations = Table(
    "destinations",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("config", Json, nullable=False),
    Column("masks", Json, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("address", Json, nullable=False),
    Column("version", Int64, nullable=False),
    Column("privacy_level", Text, nullable=False),
    Column("sampling_rate", Double, nullable=False),
    Column("api_key_hashes", Json),
    Column("excluded_api_key_hashes", Json),
    Column("filter_rules", Json),
    Column("broadcast_generation_cost", Boolean, nullable=False),
    Column("broadcast_generation_identity", Boolean, nullable=False),
    Column("broadcast_generation_request_context", Boolean, nullable=False),
    Column("broadcast_generation_cost_allocation", Boolean, nullable=False),
    Column("regions", Json, nullable=False),
    # One of OpenTelemetry's; None decides by session.
    Column("sampler", Text),
    Column("resource_attributes", Json),
    Column("redaction_patterns", Json),
    Column("origin", Text, nullable=False),
    # What the operator says of batches and lengths, in place of what the type says.
    Column("tuning", Json),
    Column("paused_by", Text),
    Column("pause_reason", Text),
    Column("paused_at_us", Int64),
    Column("created_at_us", Int64, nullable=False),
    Column("updated_at_us", Int64, nullable=False),
    Column("deleted_at_us", Int64),
    CheckConstraint("privacy_level IN ('metadata', 'hashed', 'redacted', 'full')", name="privacy_level"),
    CheckConstraint("origin IN ('user', 'demo', 'operator')", name="origin"),
    CheckConstraint("paused_by IN ('person', 'answer')", name="paused_by"),
    CheckConstraint("sampling_rate >= 0 AND sampling_rate <= 1", name="sampling_rate"),
)
Index(
    "uq_destinations_workspace_id_name_key",
    destinations.c.workspace_id,
    destinations.c.name_key,
    unique=True,
    sqlite_where=text("deleted_at_us IS NULL"),
    postgresql_where=text("deleted_at_us IS NULL"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("destination_id", Int64, ForeignKey("destinations.id"), primary_key=True, autoincrement=False),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False, index=True),
    Column("since_seq", Int64, nullable=False),
    Column("since_at_us", Int64, nullable=False),
    Column("ended_seq", Int64),
    Column("ended_at_us", Int64),
    *(Column(name, Int64, nullable=False) for name in ("cursor_seq", *_FATES)),
    # Without an index: who is idle was due long ago, and each outcome would have to change it.
    Column("due_at_us", Int64, nullable=False),
    Column("failures", Int64, nullable=False),
    # Doubtful answers in a row (408, 500, 501, 505 and above): after three the batch is halved.
    Column("doubts", Integer, nullable=False, server_default="0"),
    # The replay that runs here, behind fresh traffic.
    Column("replay_id", Int64),
    Column("lease_token", Int64, nullable=False),
    Column("lease_holder", Text),
    Column("lease_until_us", Int64, nullable=False),
    Column("last_attempt_at_us", Int64),
    Column("last_verdict", Text),
    Column("last_status_code", Integer),
    Column("last_reason", Text),
    Column("last_delivered_at_us", Int64),
    # The ledger balances in the database itself: no cursor passes a receipt that is not accounted for.
    CheckConstraint(
        "cursor_seq - since_seq = delivered + sampled_out + filtered + rejected + expired", name="balanced"
    ),
    # Each send changes its row twice: where there is room beside it, no index is touched.
    postgresql_with={"fillfactor": 50},
)

# Whatever adds to a log moves its head, which refers to its workspace: for each row to do so again cost
# PostgreSQL's server a tenth of ingest, and SQLite a twentieth.
receipts = Table(
    "receipts",
    metadata,
    Column("workspace_id", Int64, primary_key=True, autoincrement=False),
    Column("seq", Int64, primary_key=True, autoincrement=False),
    Column("block", Int64, nullable=False),
    Column("has_content", Boolean, nullable=False),
    Column("id", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created_at_us", Int64, nullable=False),
    Column("received_at_us", Int64, nullable=False),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text),
    Column("streamed", Boolean, nullable=False),
    Column("input_tokens", Int64),
    Column("output_tokens", Int64),
    Column("cost_nano_usd", Int64),
    Column("duration_us", Int64, nullable=False),
    Column("funding_source", Text),
    Column("session_id", Text),
    Column("user", Text),
    Column("api_key_name", Text),
    Column("first_token_ms", Double),
    Column("attempts", Integer, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("request_id", Text),
    Column("cached_tokens", Int64),
    Column("reasoning_tokens", Int64),
    Column("api_key_hash", Text),
    Column("provider_slug", Text),
    # Last, so that a row's columns are read without walking over its document.
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("workspace_id", "id"),
)
Index("ix_receipts_created", receipts.c.workspace_id, receipts.c.created_at_us, receipts.c.seq)
# Trace ids are random: by blocks of receipts, so that an insert touches the few pages of the newest block.
Index("ix_receipts_trace", receipts.c.workspace_id, receipts.c.block, receipts.c.trace_id)
Index(
    "ix_receipts_request",
    receipts.c.workspace_id,
    receipts.c.request_id,
    sqlite_where=text("request_id IS NOT NULL"),
    postgresql_where=text("request_id IS NOT NULL"),
)

contents = Table(
    "contents",
    metadata,
    Column("workspace_id", Int64, primary_key=True, autoincrement=False),
    Column("seq", Int64, primary_key=True, autoincrement=False),
    Column("expires_at_us", Int64, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("destination_id", Int64, ForeignKey("destinations.id"), nullable=False),
    Column("at_us", Int64, nullable=False, index=True),
    Column("from_seq", Int64, nullable=False),
    Column("to_seq", Int64, nullable=False),
    *(Column(name, Int64, nullable=False) for name in ("delivered", "rejected", "skipped")),
    Column("verdict", Text, nullable=False),
    Column("status_code", Integer),
    Column("reason", Text, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("bytes", Int64, nullable=False),
    Column("config_version", Int64, nullable=False),
    # Empty where nothing was settled: the attempt will be repeated.
    Column("fates", LargeBinary, nullable=False),
    Column("settled", Boolean, nullable=False),
    # The replay it belongs to; None for fresh traffic, which alone moves the cursor.
    Column("replay_id", Int64),
)
Index("ix_attempts_newest", attempts.c.destination_id, attempts.c.id)
Index(
    "ix_attempts_settled",
    attempts.c.destination_id,
    attempts.c.from_seq,
    sqlite_where=text("settled"),
    postgresql_where=text("settled"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("destination_id", Int64, ForeignKey("destinations.id"), nullable=False),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False),
    Column("seq", Int64, nullable=False),
    Column("receipt_id", Text, nullable=False),
    Column("at_us", Int64, nullable=False, index=True),
    Column("attempt_id", Int64),
    Column("status_code", Integer),
    Column("reason", Text, nullable=False),
    # The replay that made it; None where the ledger counts it as rejected.
    Column("replay_id", Int64),
    UniqueConstraint("destination_id", "seq"),
)

replays = Table(
    "replays",
    metadata,
    Column("id", Int64, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("workspace_id", Int64, ForeignKey("workspaces.id"), nullable=False),
    Column("destination_id", Int64, ForeignKey("destinations.id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("from_seq", Int64, nullable=False),
    Column("to_seq", Int64, nullable=False),
    # The numbers one by one, as JSON, where they are not a whole range.
    Column("seqs", LargeBinary),
    Column("include_delivered", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    *(Column(name, Int64, nullable=False) for name in ("position", "total", *_FATES, "left_out")),
    Column("requested_by", Int64, ForeignKey("users.id")),
    Column("created_at_us", Int64, nullable=False),
    Column("ended_at_us", Int64),
    CheckConstraint("source IN ('range', 'list', 'dead_letters', 'backfill')", name="source"),
    CheckConstraint("state IN ('running', 'done', 'stopped')", name="state"),
    CheckConstraint(
        "position = delivered + sampled_out + filtered + rejected + expired + left_out", name="balanced"
    ),
)
Index("ix_replays_newest", replays.c.destination_id, replays.c.id)
# One at a time: the next one is asked for when this one has ended.
Index(
    "uq_replays_running",
    replays.c.destination_id,
    unique=True,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)
