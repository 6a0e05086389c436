"""Snowflake: a row a span, merged into a table through the SQL API.

Sources: https://docs.snowflake.com/en/developer-guide/sql-api/submitting-requests (statements, bindings,
`requestId` with `retry`), https://docs.snowflake.com/en/developer-guide/sql-api/handling-responses (200, 202,
408, 422, 429) and for columns and settings
https://openrouter.ai/docs/guides/features/broadcast/snowflake, read 2026-11-21.
"""

import dataclasses
import json
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from broadcast.destination import Batch, Destination, Headers, Outcome, Request, Response, Verdict, judge_api
from broadcast.fields import Secret, SecretHeaders, field, own_headers
from broadcast.span import ResourceSpans
from destinations import _columns, _facts, _rows, _snowflake

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_$]*"
_STATEMENT_S: Final = 13
"""Less than a send may take: so an answer always tells whether the rows are in."""


class Snowflake(Destination):
    """Spans as rows with typed columns, in a table of your own."""

    title = "Snowflake"
    category = "storage"
    mark = "Sf"
    docs = "https://docs.snowflake.com/en/user-guide/programmatic-access-tokens"
    setup = (
        "Create the table with the statement below, in the database and schema of your choice.",
        "Grant a role USAGE on warehouse, database and schema, and INSERT and SELECT on the table.",
        "Under Settings > Authentication, generate a programmatic access token for that role.",
        "The account is in your address: app.snowflake.com/us-east-1/eac52885 is eac52885.us-east-1.",
    )
    sql = _snowflake.CREATE
    media_type = "application/json"
    sent_as = "rows (SQL API)"
    compress = False
    prompt_attributes = True
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The token is unknown or has run out; a service user's needs a network policy, too.",
        403: "The token is known but its role may not do this.",
        404: "There is no such account.",
        413: "Snowflake accepts only smaller requests.",
        422: "The statement was refused: check database, schema, table, warehouse and grants.",
    }

    account: str = field(
        "Account",
        example="eac52885.us-east-1",
        pattern=r"[a-zA-Z0-9_]+(?:[.-][a-zA-Z0-9_]+)*",
        help="The account identifier, without snowflakecomputing.com.",
        instead={
            r"(?i).*snowflake(computing)?\.com.*": "Enter the account alone: what stands before the host."
        },
    )
    token: Secret = field("Token", example="example", help="A programmatic access token.")
    database: str = field(
        "Database", default="SNOWFLAKE_LEARNING_DB", example="SNOWFLAKE_LEARNING_DB", pattern=_NAME
    )
    schema: str = field("Schema", default="PUBLIC", example="PUBLIC", pattern=_NAME)
    table: str = field("Table", default="OPENROUTER_TRACES", example="OPENROUTER_TRACES", pattern=_NAME)
    warehouse: str = field("Warehouse", default="COMPUTE_WH", example="COMPUTE_WH", pattern=_NAME)
    should_include_cache_write_tokens: bool = field(
        "Send cache write tokens", default=False, example=False, help=_columns.CACHE_WRITE_HELP
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the address of statements; a request adds its id, so that it runs once."""
        return f"https://{self.account.replace('_', '-')}.snowflakecomputing.com/api/v2/statements"

    def auth(self) -> Headers:
        """Return the token, and what kind it is."""
        kind = {"x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN"}
        return {"authorization": f"Bearer {self.token.reveal()}", **kind, "accept": "application/json"}

    def encode(self, spans: ResourceSpans) -> bytes:
        """Return an object a span; what is null is left out, so that its column is."""
        rows = (
            _rows.row(spans, span, cache_write=self.should_include_cache_write_tokens) for span in spans.spans
        )
        return b",".join(msgspec.json.encode(_facts.known(row)) for row in rows)

    def join(self, pieces: tuple[bytes, ...]) -> bytes:
        """Return one statement that merges all rows, given as one JSON text: known spans are not doubled."""
        rows = (b"[" + b",".join(pieces) + b"]").decode()
        merge = _snowflake.merge(self._place, cache_write=self.should_include_cache_write_tokens)
        return self._statement(merge, {"1": {"type": "TEXT", "value": rows}})

    def request(self, batch: Batch) -> Request:
        """Return the statement under an id made of its rows."""
        made = super().request(batch)
        request_id = uuid.uuid5(uuid.NAMESPACE_OID, made.body.decode())
        return dataclasses.replace(made, url=f"{made.url}?requestId={request_id}&retry=true")

    def data_check(self, trace_id: str, at_us: int) -> Request:
        """Count the trace's rows."""
        del at_us
        body = self._statement(_snowflake.count(self._place), {"1": {"type": "TEXT", "value": trace_id}})
        headers = {"content-type": self.media_type, **self.auth(), **self.extra_headers()}
        return Request(method="POST", url=self.endpoint(), headers=headers, body=body)

    def judge_data(self, response: Response) -> bool | None:
        """Return whether there are rows."""
        try:
            return bool(int(json.loads(response.body)["data"][0][0]))
        except (ValueError, KeyError, IndexError, TypeError):
            return None

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means: 202 is no success yet, and only class 22 is about the data."""
        outcome = judge_api(response)
        if response.status == 202:
            words = "202, the statement is still running; the rows are merged again"
            return dataclasses.replace(outcome, verdict=Verdict.RETRYING, reason=words)
        if response.status == 422 and b'"sqlState":"22' not in response.body.replace(b" ", b""):
            return dataclasses.replace(outcome, verdict=Verdict.REFUSED)
        return outcome

    @property
    def _place(self) -> str:
        return f"{self.database}.{self.schema}.{self.table}"

    def _statement(self, text: str, bindings: dict[str, Any]) -> bytes:
        settings = {"timeout": _STATEMENT_S, "warehouse": self.warehouse.upper()}
        return msgspec.json.encode({"statement": text, **settings, "bindings": bindings})
