"""What the API is, as `/api/openapi.json` tells it: one module a resource.

words          schemas and operations as records
schemas        the named schemas
sending        the gateway, and the sources that post receipts
observability  destinations, their history and replays
workspaces     keys, workspaces, usage, and the process itself
"""

from typing import Final

from web.api.description import observability, sending, workspaces
from web.api.description.schemas import SCHEMAS as SCHEMAS
from web.api.description.words import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *sending.OPERATIONS,
    *observability.OPERATIONS,
    *workspaces.OPERATIONS,
)
