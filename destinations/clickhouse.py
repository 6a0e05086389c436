"""ClickHouse: a row a span, inserted over its HTTP interface.

Sources: https://clickhouse.com/docs/interfaces/http (headers, parameters, exceptions that come with 200),
https://github.com/ClickHouse/ClickHouse `src/Common/ErrorCodes.cpp` (what the codes mean), and for columns
and settings https://openrouter.ai/docs/guides/features/broadcast/clickhouse, read 2026-11-21.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from typing import ClassVar, Final
from urllib.parse import urlencode

import msgspec

from broadcast.destination import Batch, Destination, Headers, Outcome, Request, Response, Verdict, judge_api
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers
from broadcast.span import ResourceSpans
from destinations import _columns, _rows

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_EXCEPTION: Final = re.compile(r"Code: (\d+)\. DB::")
_MEANINGS: Final[Mapping[Verdict, frozenset[int]]] = {
    # Parsing and types: one of the rows is at fault.
    Verdict.REJECTED: frozenset({6, 25, 26, 27, 38, 41, 53, 69, 72, 117, 130, 349, 467}),
    # No table, column, database, setting, user, password or grant: a person has to see to it.
    Verdict.REFUSED: frozenset({16, 47, 60, 81, 115, 164, 192, 193, 194, 291, 497, 516}),
    # Quotas, queries or parts beyond the limit: fewer, later.
    Verdict.THROTTLED: frozenset({201, 202, 252}),
}


class ClickHouse(Destination):
    """Spans as rows with typed columns, in a table of your own."""

    title = "ClickHouse"
    category = "storage"
    mark = "Ch"
    docs = "https://clickhouse.com/docs/interfaces/http"
    setup = (
        "Create the table with the statement below, in the database of your choice.",
        "Grant a user INSERT on it, and SELECT if the test is to read its row back.",
        "Enter the HTTP endpoint: on ClickHouse Cloud https://instance.region.clickhouse.cloud:8443.",
    )
    sql = _columns.table_sql(
        "CREATE TABLE OPENROUTER_TRACES",
        {
            "id": "String", "text": "Nullable(String)", "time": "DateTime64(6, 'UTC')",
            "ms": "Nullable(Float64)", "count": "Nullable(Int64)", "money": "Nullable(Float64)",
            "json": "Nullable(String)", "list": "Array(String)",
        },
        "\nENGINE = ReplacingMergeTree\nPARTITION BY toYYYYMM(TIMESTAMP)"
        "\nORDER BY (TIMESTAMP, TRACE_ID, SPAN_ID)"
        "\nSETTINGS non_replicated_deduplication_window = 1000;",
    )  # fmt: skip
    media_type = "application/x-ndjson"
    sent_as = "rows (JSONEachRow)"
    prompt_attributes = True
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "User or password is wrong.",
        403: "User or password is wrong, or the user may not insert into this table.",
        404: "There is no such table or database: create it with the statement on this page.",
        413: "The server accepts only smaller requests.",
    }

    host: HttpsUrl = field(
        "Host",
        example="https://clickhouse.example.com:8443",
        help="The HTTP endpoint, with its port.",
        instead={r".*//(console\.)?clickhouse\.(cloud|com).*": "This is ClickHouse's site; enter your host."},
    )
    database: str = field("Database", example="default", pattern=_NAME)
    username: str = field("Username", example="default", pattern=r"[ -~]+")
    password: Secret = field("Password", example="example")
    table: str = field("Table", default="OPENROUTER_TRACES", example="OPENROUTER_TRACES", pattern=_NAME)
    should_include_cache_write_tokens: bool = field(
        "Send cache write tokens", default=False, example=False, help=_columns.CACHE_WRITE_HELP
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the insert; a request adds the token that lets the server know a repeat."""
        settings = {
            "query": f"INSERT INTO `{self.database}`.`{self.table}` FORMAT JSONEachRow",
            "date_time_input_format": "best_effort",
            "input_format_skip_unknown_fields": "0",
            "wait_end_of_query": "1",
        }
        return f"{self.host.rstrip('/')}/?{urlencode(settings)}"

    def auth(self) -> Headers:
        """Return user and password as ClickHouse's own headers."""
        return {"x-clickhouse-user": self.username, "x-clickhouse-key": self.password.reveal()}

    def data_check(self, trace_id: str, at_us: int) -> Request:
        """Count the trace's rows."""
        del at_us
        query = f"SELECT count() FROM `{self.database}`.`{self.table}` WHERE TRACE_ID = '{trace_id}'"  # noqa: S608 - checked names
        url = f"{self.host.rstrip('/')}/?{urlencode({'query': query})}"
        return Request(method="GET", url=url, headers={**self.auth(), **self.extra_headers()}, body=b"")

    def judge_data(self, response: Response) -> bool | None:
        """Return whether there are rows; a user who may only insert cannot tell."""
        counted = response.body.strip()
        return counted != b"0" if response.status == 200 and counted.isdigit() else None

    def encode(self, spans: ResourceSpans) -> bytes:
        """Return a line a span; its JSON columns are text."""
        wanted = self.should_include_cache_write_tokens
        rows = (_rows.row(spans, span, cache_write=wanted) for span in spans.spans)
        return b"\n".join(msgspec.json.encode(_rows.texted(row)) for row in rows)

    def join(self, pieces: tuple[bytes, ...]) -> bytes:
        """Return all lines."""
        return b"\n".join(pieces)

    def request(self, batch: Batch) -> Request:
        """Return the insert with a token made of its rows: the same rows are inserted once."""
        made = super().request(batch)
        token = hashlib.sha256(made.body).hexdigest()
        return dataclasses.replace(made, url=f"{made.url}&insert_deduplication_token={token}")

    def judge(self, response: Response) -> Outcome:
        """Return what the exception's code means, which may come with 200 as well as with 500."""
        told = response.headers.get("x-clickhouse-exception-code", "")
        found = _EXCEPTION.search(response.body[:4096].decode("utf-8", "replace"))
        code = told if told.isdigit() else found[1] if found else ""
        outcome = judge_api(response)
        if not code:
            return outcome
        meant = (verdict for verdict, codes in _MEANINGS.items() if int(code) in codes)
        fallback = Verdict.RETRYING if outcome.delivered else outcome.verdict
        if b"Unknown field" in response.body:
            # A column is missing, whatever the row.
            return dataclasses.replace(outcome, verdict=Verdict.REFUSED)
        words = f"{outcome.reason}, exception {code}"
        return dataclasses.replace(outcome, verdict=next(meant, fallback), reason=words)
