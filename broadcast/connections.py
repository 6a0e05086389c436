"""Configured destinations: test, save (only after a passed test), pause, resume, switch, delete, look at.

`workspace` is a `store.workspaces.Workspace`, `uid` a destination's outside id, `body` a mapping with the outside
names of CONTRACT section 2 (`type name enabled config sampling_rate privacy_mode privacy_level api_key_hashes
excluded_api_key_hashes filter_rules broadcast_generation_cost ..._identity ..._request_context`), `config` inside
it with camelCase names. Signatures:

    Connections(store, vault, types, policy, config)
    .test(workspace, body, *, uid=None, now_us) -> Report       body: type and config; uid = an edit, stored secrets
                                                                are merged in; never raises for wrong settings
    .create(workspace, user_id, body, *, fingerprint=None, now_us) -> StoredDestination
    .update(workspace, user_id, uid, body, *, fingerprint=None, expected_version=None, now_us) -> StoredDestination
    .delete(workspace, user_id, uid, *, now_us)    .pause(...)    .resume(...)      same arguments; pause, resume
                                                                                    return the StoredDestination
    .send_trace(workspace, user_id, uid, *, now_us) -> Report
    .set_broadcast(workspace, user_id, enabled, *, now_us)
    .get(workspace, uid) -> StoredDestination                   raises NotFound
    .overview(workspace, *, now_us=None) -> list[Listed]        .stored .cursor .state, by name
    .view(stored, workspace) -> dict                            the API's object, secrets masked
    .state(stored, cursor, head_seq, now_us, broadcast=True) -> State
    .ledger(workspace, uid) -> dict    .attempts(workspace, uid, *, limit=50, cursor=None) -> dict
    .delivery(workspace, receipt_row) -> list[dict]             one entry a destination: the fate of a receipt
    .add_demo_receiver(*, workspace_id, name, config, now_us)

`Report.fingerprint` is set when a test passed: the page sends it back with Save, in place of the secrets.
Raised: SettingsError, GateClosed (holds the report), SecretRequired, Conflict, NotFound.
"""
