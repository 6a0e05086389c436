"""BigQuery: a row a receipt, streamed into a table with a service account's key.

Sources: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll (rows, `insertId`,
`insertErrors`), https://cloud.google.com/bigquery/docs/error-messages (reasons, and that quotas answer 403)
and for columns https://openrouter.ai/docs/guides/features/broadcast/bigquery, read 2026-11-21.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec

from broadcast.destination import Batch, Outcome, Request, Response, Verdict, judge_api
from broadcast.fields import SecretHeaders, field, own_headers
from broadcast.span import ResourceSpans
from destinations import _columns, _facts, _google, _rows

_API: Final = "https://bigquery.googleapis.com"
_NAME: Final = r"[A-Za-z0-9_]{1,1024}"
_BUSY: Final = frozenset({"rateLimitExceeded", "quotaExceeded"})
_LATER: Final = frozenset({"backendError", "internalError", "timeout"})


class BigQuery(_google.WithKeyFile):
    """One row with typed columns for each request, in a table of your own."""

    title = "Google BigQuery"
    category = "storage"
    mark = "Bq"
    docs = "https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery"
    setup = (
        "Enable the BigQuery API in your project and create a dataset; its location is fixed for ever.",
        "Create the table with the statement below, with your dataset's name.",
        "Create a service account and share the dataset with it as BigQuery Data Editor.",
        "Under Keys of the service account, add a JSON key, and paste the whole file.",
    )
    sql = _columns.table_sql(
        "CREATE TABLE openrouter.openrouter_traces",
        {
            "id": "STRING NOT NULL", "text": "STRING", "time": "TIMESTAMP", "ms": "FLOAT64", "count": "INT64",
            "money": "FLOAT64", "json": "JSON", "list": "ARRAY<STRING>",
        },
        "\nPARTITION BY DATE(timestamp);",
        lower=True,
    )  # fmt: skip
    media_type = "application/json"
    sent_as = "rows (insertAll)"
    compress = False
    prompt_attributes = True
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        400: "The row was refused: compare the table with the statement on this page.",
        401: "The key is not accepted: paste the whole JSON key file of a service account that still has it.",
        403: "The service account may not write here: share the dataset with it as BigQuery Data Editor.",
        404: "There is no such project, dataset or table; a new table may take some minutes.",
        413: "BigQuery accepts only smaller requests.",
    }

    dataset: str = field("BigQuery dataset", default="openrouter", example="openrouter", pattern=_NAME)
    table: str = field(
        "BigQuery table", default="openrouter_traces", example="openrouter_traces", pattern=_NAME
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the table's address for streamed rows."""
        return f"{self._table}/insertAll"

    def credential_check(self, at_us: int) -> Request:
        """Ask about the table: it tells project, dataset, table and key apart from the right to insert."""
        headers = {**self.bearer(_API, at_us), **self.extra_headers()}
        return Request(method="GET", url=f"{self._table}?fields=id", headers=headers, body=b"")

    def judge_credential(self, response: Response) -> str | None:
        """Return what is wrong; a table that is not there is a question of data, and the insert says so."""
        return None if response.status == 404 else super().judge_credential(response)

    def encode(self, spans: ResourceSpans) -> bytes:
        """Return the receipt's row: its generation, with the other spans beside its attributes."""
        main, others = _rows.parted(spans)
        row = _rows.row(spans, main, cache_write=True)
        beside = [
            {"name": one.name, "duration_ms": (one.end_ns - one.start_ns) / 1e6, **_rows.attributes(one)}
            for one in others
        ]
        row["ATTRIBUTES"] = {**row["ATTRIBUTES"], "spans": beside} if beside else row["ATTRIBUTES"]
        known = {name.lower(): value for name, value in _facts.known(_rows.texted(row)).items()}
        # BigQuery leaves out a row whose id it has seen in the last minutes.
        return msgspec.json.encode({"insertId": f"{main.trace_id}{main.span_id}", "json": known})

    def join(self, pieces: tuple[bytes, ...]) -> bytes:
        """Return the rows as one insert, which takes all of them or none."""
        return b'{"rows":[' + b",".join(pieces) + b"]}"

    def request(self, batch: Batch) -> Request:
        """Return the insert with a token signed for its time."""
        made = super().request(batch)
        return dataclasses.replace(made, headers={**self.bearer(_API, batch.at_us), **made.headers})

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means: rows can fail with 200, and quotas answer 403."""
        outcome = judge_api(response)
        reasons, words = _google.reasons(response.body)
        if not reasons:
            # A long answer comes cut, and then cannot be read: which rows are at fault, halving tells.
            cut = outcome.delivered and b'"insertErrors"' in response.body
            return dataclasses.replace(outcome, verdict=Verdict.REJECTED) if cut else outcome
        if reasons & _BUSY:
            verdict = Verdict.THROTTLED
        elif reasons & _LATER:
            verdict = Verdict.RETRYING
        elif outcome.delivered:
            verdict = Verdict.REFUSED if "no such field" in words.lower() else Verdict.REJECTED
        else:
            return outcome
        return dataclasses.replace(outcome, verdict=verdict, reason=f"{outcome.reason}: {words}"[:300])

    @property
    def _table(self) -> str:
        return f"{_API}/bigquery/v2/projects/{self.project_id}/datasets/{self.dataset}/tables/{self.table}"
