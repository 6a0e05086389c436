"""Tables and queries; the only place that speaks SQL.

database       Store: engines, transactions, migration
engines        how SQLite and PostgreSQL are opened
clock          the database's clock
wake           waiting for the next receipt
liveness       locks that die with a worker
worker_counters spent                 what workers have done, and the time in transactions
backlogs       every destination's place, at one look
tables side_tables rollup_tables people_tables    every table
workspaces users sessions keys        who
invitations password_resets sign_ins identities    how they get in
operator_exports operator_tables      the operator's export, carried to every workspace
destinations cursors receipts         the log and its readers
attempts dead_letters                 what became of each receipt
rollups facets session_sums           sums of requests by hour, day, user, session
metrics metric_tables                 what metrics of destinations come to, and when they were sent
bulk direct among                     statements of the hot paths, and long lists as one parameter
activity audit limits passed_tests    reads for pages, and the small tables
retention sweeps checks               what is too old, and the proof of what is left

Functions take a connection first, never commit, and return frozen records.
"""

from broadcast.store import (  # noqa: F401 - so that the schema is whole for whoever asks
    metric_tables,
    operator_tables,
    people_tables,
    rollup_tables,
    side_tables,
)
from broadcast.store.database import Conn, Store

__all__ = ["Conn", "Store"]
