"""The first version of every table."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table('limits',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('window_start_us', Int64, nullable=False),
    sa.Column('ends_at_us', Int64, nullable=False),
    sa.Column('hits', Int64, nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_limits'))
    )
    op.create_index(op.f('ix_limits_ends_at_us'), 'limits', ['ends_at_us'], unique=False)
    op.create_table('workers',
    sa.Column('holder', sa.Text(), nullable=False),
    sa.Column('started_at_us', Int64, nullable=False),
    sa.Column('seen_at_us', Int64, nullable=False),
    sa.PrimaryKeyConstraint('holder', name=op.f('pk_workers'))
    )
    op.create_table('workspaces',
    sa.Column('id', Int64, nullable=False),
    sa.Column('uid', sa.Text(), nullable=False),
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('broadcast_enabled', sa.Boolean(), nullable=False),
    sa.Column('demo', sa.Boolean(), nullable=False),
    sa.Column('content_key', sa.LargeBinary(), nullable=False),
    sa.Column('created_at_us', Int64, nullable=False),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('created_by', sa.Text(), nullable=True),
    sa.Column('updated_at_us', Int64, nullable=True),
    sa.Column('deleted_at_us', Int64, nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_workspaces')),
    sa.UniqueConstraint('slug', name=op.f('uq_workspaces_slug')),
    sa.UniqueConstraint('uid', name=op.f('uq_workspaces_uid'))
    )
    op.create_table('contents',
    sa.Column('workspace_id', Int64, autoincrement=False, nullable=False),
    sa.Column('seq', Int64, autoincrement=False, nullable=False),
    sa.Column('expires_at_us', Int64, nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_contents_workspace_id')),
    sa.PrimaryKeyConstraint('workspace_id', 'seq', name=op.f('pk_contents'))
    )
    op.create_index(op.f('ix_contents_expires_at_us'), 'contents', ['expires_at_us'], unique=False)
    op.create_table('destinations',
    sa.Column('id', Int64, nullable=False),
    sa.Column('uid', sa.Text(), nullable=False),
    sa.Column('workspace_id', Int64, nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('name_key', sa.Text(), nullable=False),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('config', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('masks', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('address', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('version', Int64, nullable=False),
    sa.Column('privacy_level', sa.Text(), nullable=False),
    sa.Column('sampling_rate', sa.Double(), nullable=False),
    sa.Column('api_key_hashes', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('excluded_api_key_hashes', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('filter_rules', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('broadcast_generation_cost', sa.Boolean(), nullable=False),
    sa.Column('broadcast_generation_identity', sa.Boolean(), nullable=False),
    sa.Column('broadcast_generation_request_context', sa.Boolean(), nullable=False),
    sa.Column('broadcast_generation_cost_allocation', sa.Boolean(), nullable=False),
    sa.Column('regions', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('sampler', sa.Text(), nullable=True),
    sa.Column('resource_attributes', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('redaction_patterns', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('origin', sa.Text(), nullable=False),
    sa.Column('paused_by', sa.Text(), nullable=True),
    sa.Column('pause_reason', sa.Text(), nullable=True),
    sa.Column('paused_at_us', Int64, nullable=True),
    sa.Column('created_at_us', Int64, nullable=False),
    sa.Column('updated_at_us', Int64, nullable=False),
    sa.Column('deleted_at_us', Int64, nullable=True),
    sa.CheckConstraint("origin IN ('user', 'demo', 'operator')", name=op.f('ck_destinations_origin')),
    sa.CheckConstraint("paused_by IN ('person', 'answer')", name=op.f('ck_destinations_paused_by')),
    sa.CheckConstraint("privacy_level IN ('metadata', 'hashed', 'redacted', 'full')", name=op.f('ck_destinations_privacy_level')),
    sa.CheckConstraint('sampling_rate >= 0 AND sampling_rate <= 1', name=op.f('ck_destinations_sampling_rate')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_destinations_workspace_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_destinations')),
    sa.UniqueConstraint('uid', name=op.f('uq_destinations_uid'))
    )
    op.create_index('uq_destinations_workspace_id_name_key', 'destinations', ['workspace_id', 'name_key'], unique=True, sqlite_where=sa.text('deleted_at_us IS NULL'), postgresql_where=sa.text('deleted_at_us IS NULL'))
    op.create_table('heads',
    sa.Column('workspace_id', Int64, autoincrement=False, nullable=False),
    sa.Column('head_seq', Int64, nullable=False),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_heads_workspace_id')),
    sa.PrimaryKeyConstraint('workspace_id', name=op.f('pk_heads'))
    )
    op.create_table('passed_tests',
    sa.Column('workspace_id', Int64, autoincrement=False, nullable=False),
    sa.Column('fingerprint', sa.Text(), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('at_us', Int64, nullable=False),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_passed_tests_workspace_id')),
    sa.PrimaryKeyConstraint('workspace_id', 'fingerprint', name=op.f('pk_passed_tests'))
    )
    op.create_index(op.f('ix_passed_tests_at_us'), 'passed_tests', ['at_us'], unique=False)
    op.create_table('receipts',
    sa.Column('workspace_id', Int64, autoincrement=False, nullable=False),
    sa.Column('seq', Int64, autoincrement=False, nullable=False),
    sa.Column('block', Int64, nullable=False),
    sa.Column('has_content', sa.Boolean(), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('fingerprint', sa.LargeBinary(), nullable=False),
    sa.Column('created_at_us', Int64, nullable=False),
    sa.Column('received_at_us', Int64, nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=True),
    sa.Column('streamed', sa.Boolean(), nullable=False),
    sa.Column('input_tokens', Int64, nullable=True),
    sa.Column('output_tokens', Int64, nullable=True),
    sa.Column('cost_nano_usd', Int64, nullable=True),
    sa.Column('duration_us', Int64, nullable=False),
    sa.Column('funding_source', sa.Text(), nullable=True),
    sa.Column('session_id', sa.Text(), nullable=True),
    sa.Column('user', sa.Text(), nullable=True),
    sa.Column('api_key_name', sa.Text(), nullable=True),
    sa.Column('first_token_ms', sa.Double(), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('trace_id', sa.Text(), nullable=False),
    sa.Column('request_id', sa.Text(), nullable=True),
    sa.Column('cached_tokens', Int64, nullable=True),
    sa.Column('reasoning_tokens', Int64, nullable=True),
    sa.Column('api_key_hash', sa.Text(), nullable=True),
    sa.Column('provider_slug', sa.Text(), nullable=True),
    sa.Column('document', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_receipts_workspace_id')),
    sa.PrimaryKeyConstraint('workspace_id', 'seq', name=op.f('pk_receipts')),
    sa.UniqueConstraint('workspace_id', 'id', name=op.f('uq_receipts_workspace_id_id'))
    )
    op.create_index('ix_receipts_created', 'receipts', ['workspace_id', 'created_at_us', 'seq'], unique=False)
    op.create_index('ix_receipts_request', 'receipts', ['workspace_id', 'request_id'], unique=False, sqlite_where=sa.text('request_id IS NOT NULL'), postgresql_where=sa.text('request_id IS NOT NULL'))
    op.create_index('ix_receipts_trace', 'receipts', ['workspace_id', 'block', 'trace_id'], unique=False)
    op.create_table('users',
    sa.Column('id', Int64, nullable=False),
    sa.Column('uid', sa.Text(), nullable=False),
    sa.Column('email', sa.Text(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=False),
    sa.Column('last_workspace_id', Int64, nullable=True),
    sa.Column('created_at_us', Int64, nullable=False),
    sa.ForeignKeyConstraint(['last_workspace_id'], ['workspaces.id'], name=op.f('fk_users_last_workspace_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    sa.UniqueConstraint('email', name=op.f('uq_users_email')),
    sa.UniqueConstraint('uid', name=op.f('uq_users_uid'))
    )
    op.create_table('api_keys',
    sa.Column('id', Int64, nullable=False),
    sa.Column('workspace_id', Int64, nullable=False),
    sa.Column('user_id', Int64, nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('hash', sa.Text(), nullable=False),
    sa.Column('verifier', sa.LargeBinary(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('scopes', sa.Text(), nullable=False),
    sa.Column('created_at_us', Int64, nullable=False),
    sa.Column('expires_at_us', Int64, nullable=True),
    sa.Column('last_used_at_us', Int64, nullable=True),
    sa.Column('revoked_at_us', Int64, nullable=True),
    sa.Column('disabled', sa.Boolean(), nullable=False),
    sa.Column('updated_at_us', Int64, nullable=True),
    sa.CheckConstraint("kind IN ('api', 'management')", name=op.f('ck_api_keys_kind')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_api_keys_user_id')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_api_keys_workspace_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('hash', name=op.f('uq_api_keys_hash')),
    sa.UniqueConstraint('verifier', name=op.f('uq_api_keys_verifier'))
    )
    op.create_index(op.f('ix_api_keys_workspace_id'), 'api_keys', ['workspace_id'], unique=False)
    op.create_table('attempts',
    sa.Column('id', Int64, nullable=False),
    sa.Column('uid', sa.Text(), nullable=False),
    sa.Column('destination_id', Int64, nullable=False),
    sa.Column('at_us', Int64, nullable=False),
    sa.Column('from_seq', Int64, nullable=False),
    sa.Column('to_seq', Int64, nullable=False),
    sa.Column('delivered', Int64, nullable=False),
    sa.Column('rejected', Int64, nullable=False),
    sa.Column('skipped', Int64, nullable=False),
    sa.Column('verdict', sa.Text(), nullable=False),
    sa.Column('status_code', sa.Integer(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('duration_ms', sa.Double(), nullable=False),
    sa.Column('bytes', Int64, nullable=False),
    sa.Column('config_version', Int64, nullable=False),
    sa.Column('fates', sa.LargeBinary(), nullable=False),
    sa.Column('settled', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['destination_id'], ['destinations.id'], name=op.f('fk_attempts_destination_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attempts')),
    sa.UniqueConstraint('uid', name=op.f('uq_attempts_uid'))
    )
    op.create_index(op.f('ix_attempts_at_us'), 'attempts', ['at_us'], unique=False)
    op.create_index('ix_attempts_newest', 'attempts', ['destination_id', 'id'], unique=False)
    op.create_index('ix_attempts_settled', 'attempts', ['destination_id', 'from_seq'], unique=False, sqlite_where=sa.text('settled'), postgresql_where=sa.text('settled'))
    op.create_table('audit_log',
    sa.Column('id', Int64, nullable=False),
    sa.Column('workspace_id', Int64, nullable=True),
    sa.Column('user_id', Int64, nullable=True),
    sa.Column('at_us', Int64, nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('target', sa.Text(), nullable=False),
    sa.Column('detail', sa.JSON(none_as_null=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_audit_log_user_id')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_audit_log_workspace_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_log'))
    )
    op.create_index('ix_audit_log_newest', 'audit_log', ['workspace_id', 'id'], unique=False)
    op.create_table('cursors',
    sa.Column('destination_id', Int64, autoincrement=False, nullable=False),
    sa.Column('workspace_id', Int64, nullable=False),
    sa.Column('since_seq', Int64, nullable=False),
    sa.Column('since_at_us', Int64, nullable=False),
    sa.Column('ended_seq', Int64, nullable=True),
    sa.Column('ended_at_us', Int64, nullable=True),
    sa.Column('cursor_seq', Int64, nullable=False),
    sa.Column('delivered', Int64, nullable=False),
    sa.Column('sampled_out', Int64, nullable=False),
    sa.Column('filtered', Int64, nullable=False),
    sa.Column('rejected', Int64, nullable=False),
    sa.Column('expired', Int64, nullable=False),
    sa.Column('due_at_us', Int64, nullable=False),
    sa.Column('failures', Int64, nullable=False),
    sa.Column('lease_token', Int64, nullable=False),
    sa.Column('lease_holder', sa.Text(), nullable=True),
    sa.Column('lease_until_us', Int64, nullable=False),
    sa.Column('last_attempt_at_us', Int64, nullable=True),
    sa.Column('last_verdict', sa.Text(), nullable=True),
    sa.Column('last_status_code', sa.Integer(), nullable=True),
    sa.Column('last_reason', sa.Text(), nullable=True),
    sa.Column('last_delivered_at_us', Int64, nullable=True),
    sa.CheckConstraint('cursor_seq - since_seq = delivered + sampled_out + filtered + rejected + expired', name=op.f('ck_cursors_balanced')),
    sa.ForeignKeyConstraint(['destination_id'], ['destinations.id'], name=op.f('fk_cursors_destination_id')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_cursors_workspace_id')),
    sa.PrimaryKeyConstraint('destination_id', name=op.f('pk_cursors'))
    )
    op.create_index(op.f('ix_cursors_due_at_us'), 'cursors', ['due_at_us'], unique=False)
    op.create_index(op.f('ix_cursors_workspace_id'), 'cursors', ['workspace_id'], unique=False)
    op.create_table('dead_letters',
    sa.Column('id', Int64, nullable=False),
    sa.Column('destination_id', Int64, nullable=False),
    sa.Column('workspace_id', Int64, nullable=False),
    sa.Column('seq', Int64, nullable=False),
    sa.Column('receipt_id', sa.Text(), nullable=False),
    sa.Column('at_us', Int64, nullable=False),
    sa.Column('attempt_id', Int64, nullable=True),
    sa.Column('status_code', sa.Integer(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['destination_id'], ['destinations.id'], name=op.f('fk_dead_letters_destination_id')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_dead_letters_workspace_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dead_letters')),
    sa.UniqueConstraint('destination_id', 'seq', name=op.f('uq_dead_letters_destination_id_seq'))
    )
    op.create_index(op.f('ix_dead_letters_at_us'), 'dead_letters', ['at_us'], unique=False)
    op.create_table('login_sessions',
    sa.Column('id', Int64, nullable=False),
    sa.Column('token_hash', sa.Text(), nullable=False),
    sa.Column('user_id', Int64, nullable=False),
    sa.Column('csrf', sa.Text(), nullable=False),
    sa.Column('created_at_us', Int64, nullable=False),
    sa.Column('seen_at_us', Int64, nullable=False),
    sa.Column('expires_at_us', Int64, nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_login_sessions_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_login_sessions')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_login_sessions_token_hash'))
    )
    op.create_index(op.f('ix_login_sessions_expires_at_us'), 'login_sessions', ['expires_at_us'], unique=False)
    op.create_index(op.f('ix_login_sessions_user_id'), 'login_sessions', ['user_id'], unique=False)
    op.create_table('memberships',
    sa.Column('workspace_id', Int64, autoincrement=False, nullable=False),
    sa.Column('user_id', Int64, autoincrement=False, nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name=op.f('ck_memberships_role')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_memberships_user_id')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspaces.id'], name=op.f('fk_memberships_workspace_id')),
    sa.PrimaryKeyConstraint('workspace_id', 'user_id', name=op.f('pk_memberships'))
    )
    op.create_index(op.f('ix_memberships_user_id'), 'memberships', ['user_id'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_memberships_user_id'), table_name='memberships')
    op.drop_table('memberships')
    op.drop_index(op.f('ix_login_sessions_user_id'), table_name='login_sessions')
    op.drop_index(op.f('ix_login_sessions_expires_at_us'), table_name='login_sessions')
    op.drop_table('login_sessions')
    op.drop_index(op.f('ix_dead_letters_at_us'), table_name='dead_letters')
    op.drop_table('dead_letters')
    op.drop_index(op.f('ix_cursors_workspace_id'), table_name='cursors')
    op.drop_index(op.f('ix_cursors_due_at_us'), table_name='cursors')
    op.drop_table('cursors')
    op.drop_index('ix_audit_log_newest', table_name='audit_log')
    op.drop_table('audit_log')
    op.drop_index('ix_attempts_settled', table_name='attempts', sqlite_where=sa.text('settled'), postgresql_where=sa.text('settled'))
    op.drop_index('ix_attempts_newest', table_name='attempts')
    op.drop_index(op.f('ix_attempts_at_us'), table_name='attempts')
    op.drop_table('attempts')
    op.drop_index(op.f('ix_api_keys_workspace_id'), table_name='api_keys')
    op.drop_table('api_keys')
    op.drop_table('users')
    op.drop_index('ix_receipts_trace', table_name='receipts')
    op.drop_index('ix_receipts_request', table_name='receipts', sqlite_where=sa.text('request_id IS NOT NULL'), postgresql_where=sa.text('request_id IS NOT NULL'))
    op.drop_index('ix_receipts_created', table_name='receipts')
    op.drop_table('receipts')
    op.drop_index(op.f('ix_passed_tests_at_us'), table_name='passed_tests')
    op.drop_table('passed_tests')
    op.drop_table('heads')
    op.drop_index('uq_destinations_workspace_id_name_key', table_name='destinations', sqlite_where=sa.text('deleted_at_us IS NULL'), postgresql_where=sa.text('deleted_at_us IS NULL'))
    op.drop_table('destinations')
    op.drop_index(op.f('ix_contents_expires_at_us'), table_name='contents')
    op.drop_table('contents')
    op.drop_table('workspaces')
    op.drop_table('workers')
    op.drop_index(op.f('ix_limits_ends_at_us'), table_name='limits')
    op.drop_table('limits')
