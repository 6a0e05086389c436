"""The statements of the table stores, run: by ClickHouse's own engine, and by two readers of Snowflake's SQL.

Rows go in twice, as they do when the answer to the first try is lost.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from broadcast.destination import Destination
from destinations.bigquery import BigQuery
from destinations.clickhouse import ClickHouse
from destinations.snowflake import Snowflake
from tests.destinations import own_api
from tests.world.environments import python_with
from tests.world.scripts import told

pytestmark = pytest.mark.world

CHDB = "chdb==4.4.0"
FAKESNOW = ("fakesnow==0.12.1", "snowflake-connector-python==3.18.1")
SPANS = 5
CLICKHOUSE = """
import json, sys
from chdb import session
given = json.load(sys.stdin)
run = session.Session().query
run("CREATE DATABASE llm ENGINE = Atomic")
run("USE llm")
run(given["create"])
settings = ", ".join(f"{name} = '{value}'" for name, value in given["settings"].items())
statement = given["insert"].replace("FORMAT", f"SETTINGS {settings} FORMAT")
for _ in range(2):
    run(statement + "\\n" + given["rows"])
print(json.dumps([json.loads(line) for line in str(run(given["select"], "JSONEachRow")).splitlines()]))
"""
SNOWFLAKE = """
import json, sys, fakesnow, snowflake.connector
given = json.load(sys.stdin)
with fakesnow.patch():
    cursor = snowflake.connector.connect(database="SNOWFLAKE_LEARNING_DB", schema="PUBLIC").cursor()
    cursor.execute(given["create"])
    merged = []
    for _ in range(2):
        cursor.execute(given["merge"].replace("?", "%s"), (given["rows"],))
        merged.append(int(cursor.fetchall()[0][0]))
    cursor.execute(given["select"])
    rows = [[str(value) for value in row] for row in cursor.fetchall()]
    print(json.dumps({"merged": merged, "rows": rows}))
"""
PARSE = """
import json, sys, sqlglot
found = [sqlglot.parse_one(text, dialect=dialect).sql() for dialect, text in json.load(sys.stdin)]
print(json.dumps(len(found)))
"""


def clickhouse(**config: Any) -> list[dict[str, Any]]:
    """Run ClickHouse's own engine: make the table, insert the same rows twice, and return its generations."""
    base = {"host": "https://a.example", "database": "llm", "username": "u", "password": "p"}
    destination = ClickHouse.parse({**base, **config})
    request = destination.request(
        own_api.batch(destination, own_api.receipt(), own_api.failed_receipt(id="gen-2"))
    )
    settings = dict(parse_qsl(urlsplit(request.url).query))
    del settings["wait_end_of_query"]  # of the HTTP interface alone
    given = {
        "create": ClickHouse.sql,
        "insert": settings.pop("query"),
        "settings": settings,
        "rows": request.body.decode(),
        "select": "SELECT *, JSONExtractString(METADATA, 'feature') AS FEATURE, "
        "JSONExtractString(JSONExtractRaw(INPUT, 'messages'), 1, 'content') AS ASKED "
        "FROM OPENROUTER_TRACES WHERE SPAN_TYPE = 'GENERATION' ORDER BY STATUS",
    }
    found: list[dict[str, Any]] = told(python(CHDB), CLICKHOUSE, given=json.dumps(given))
    return found


def python(*requirements: str) -> Path:
    return python_with(*requirements) / "python"


@pytest.mark.parametrize("version_2", [False, True])
def test_clickhouse_makes_the_table_and_takes_the_same_rows_once(version_2: bool) -> None:
    failed, done = clickhouse(shouldIncludeCacheWriteTokens=version_2)
    assert (failed["STATUS"], failed["TOTAL_COST"]) == ("error", None)
    assert (done["STATUS"], done["TOTAL_COST"], int(done["PROMPT_TOKENS"])) == ("ok", 0.000387, 1200)
    assert (done["TIMESTAMP"], done["DURATION_MS"]) == ("2026-09-21 14:13:20.000000", 1234.567)
    assert (done["FEATURE"], done["ASKED"], done["TAGS"]) == ("search", "What is a span?", ["a", "b"])


def test_snowflakes_statements_make_the_table_and_merge_the_same_rows_once() -> None:
    destination = Snowflake.parse({"account": "a", "token": "t", "shouldIncludeCacheWriteTokens": True})
    batch = own_api.batch(destination, own_api.receipt(), own_api.failed_receipt(id="gen-2"))
    statement = json.loads(destination.request(batch).body)
    given = {
        "create": Snowflake.sql,
        "merge": statement["statement"],
        "rows": statement["bindings"]["1"]["value"],
        "select": "SELECT STATUS, TOTAL_COST, PROMPT_TOKENS, START_TIME, METADATA:feature::STRING, "
        "INPUT:messages[0]:content::STRING FROM OPENROUTER_TRACES "
        "WHERE SPAN_TYPE = 'GENERATION' ORDER BY STATUS",
    }
    found = told(python(*FAKESNOW), SNOWFLAKE, given=json.dumps(given))
    assert found["merged"] == [2 * SPANS, 0]
    assert found["rows"] == [
        ["error", "None", "None", "2026-09-21 14:13:20", "search", "What is a span?"],
        ["ok", "0.00038700", "1200", "2026-09-21 14:13:20", "search", "What is a span?"],
    ]


def test_every_statement_is_of_its_dialect() -> None:
    kinds: dict[str, type[Destination]] = {
        "bigquery": BigQuery,
        "clickhouse": ClickHouse,
        "snowflake": Snowflake,
    }
    given = [(name, kind.sql) for name, kind in kinds.items()]
    assert told(python(*FAKESNOW), PARSE, given=json.dumps(given)) == len(kinds)
