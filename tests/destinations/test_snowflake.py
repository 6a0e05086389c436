import json
import re
from typing import Any

import pytest

from broadcast.destination import Request, Verdict
from broadcast.errors import SettingsError
from destinations.snowflake import Snowflake
from tests.destinations import own_api

CONFIG = {"account": "eac52885.us-east-1", "token": "pat"}
ADDRESS = "https://eac52885.us-east-1.snowflakecomputing.com/api/v2/statements"


def snowflake(**config: Any) -> Snowflake:
    return Snowflake.parse({**CONFIG, **config})


def request(*told: Any, at_us: int = own_api.AT_US, **config: Any) -> Request:
    destination = snowflake(**config)
    return destination.request(own_api.batch(destination, *told, at_us=at_us))


def statement(*told: Any, **config: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request(*told, **config).body)
    return found


def rows(*told: Any, **config: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(statement(*told, **config)["bindings"]["1"]["value"])
    return found


def columns(sql: str) -> list[str]:
    return [line.split()[0] for line in sql.splitlines() if line.startswith("  ")]


def test_rows_are_merged_by_one_statement_of_the_sql_api() -> None:
    made = request()
    assert made.method == "POST"
    assert re.fullmatch(re.escape(ADDRESS) + r"\?requestId=[0-9a-f-]{36}&retry=true", made.url)
    assert made.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "authorization": "Bearer pat",
        "x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN",
    }
    told = json.loads(made.body)
    assert (told["warehouse"], told["timeout"]) == ("COMPUTE_WH", 13)
    assert told["bindings"]["1"]["type"] == "TEXT"


def test_the_statement_names_every_column_once_and_leaves_out_known_spans() -> None:
    text = statement(shouldIncludeCacheWriteTokens=True)["statement"]
    declared = columns(Snowflake.sql)
    assert text.startswith("MERGE INTO SNOWFLAKE_LEARNING_DB.PUBLIC.OPENROUTER_TRACES t USING (SELECT ")
    assert "r.value:TRACE_ID::VARCHAR(64) AS TRACE_ID, " in text
    assert "r.value:TOTAL_COST::NUMBER(18,8) AS TOTAL_COST, " in text
    assert "FROM (SELECT PARSE_JSON(?) AS v) g, LATERAL FLATTEN(INPUT => g.v) r) s ON t.TRACE_ID = " in text
    assert re.findall(r" AS ([A-Z_]+)", text) == declared
    assert text.endswith(
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(declared)}) "
        f"VALUES ({', '.join(f's.{name}' for name in declared)})"
    )


def test_version_2_of_the_table_is_asked_for() -> None:
    assert "CACHE_WRITE_TOKENS" not in statement()["statement"]
    assert columns(Snowflake.sql)[-1] == "CACHE_WRITE_TOKENS"


def test_a_row_holds_typed_values_and_json_as_json() -> None:
    generation = rows()[1]
    assert (generation["SPAN_TYPE"], generation["TRACE_ID"]) == ("GENERATION", own_api.TRACE_ID)
    assert (generation["PROMPT_TOKENS"], generation["TOTAL_COST"]) == (1200, 0.000387)
    assert generation["METADATA"]["feature"] == "search"
    assert generation["INPUT"]["messages"][0]["content"] == "What is a span?"
    assert generation["TAGS"] == ["a", "b"]
    assert None not in generation.values()


def test_quotes_in_a_prompt_stay_inside_their_value() -> None:
    words = """'); DROP TABLE x; -- "quoted" \\ """
    told = own_api.receipt(input=[{"role": "user", "content": words}])
    assert rows(told)[1]["INPUT"]["messages"][0]["content"] == words
    assert "DROP" not in statement(told)["statement"]


def test_the_same_rows_run_under_the_same_id() -> None:
    assert request(at_us=1).url == request(at_us=2).url != request(own_api.receipt(id="gen-2")).url


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {"code": "090001", "message": "Statement executed successfully."}, Verdict.DELIVERED),
        (202, {"code": "333334", "message": "Asynchronous execution in progress."}, Verdict.RETRYING),
        (401, {"code": "390303", "message": "Invalid OAuth access token."}, Verdict.REFUSED),
        (403, {}, Verdict.REFUSED),
        (408, {"code": "000630", "message": "Statement reached its timeout."}, Verdict.RETRYING),
        (422, {"code": "002003", "sqlState": "02000", "message": "does not exist"}, Verdict.REFUSED),
        (422, {"code": "000606", "sqlState": "57P03", "message": "No active warehouse"}, Verdict.REFUSED),
        (422, {"code": "100035", "sqlState": "22007", "message": "not recognized"}, Verdict.REJECTED),
        (429, {}, Verdict.THROTTLED),
        (503, {}, Verdict.RETRYING),
    ],
)
def test_an_answer_means_what_snowflake_documents(
    status: int, body: dict[str, str], verdict: Verdict
) -> None:
    assert snowflake().judge(own_api.answer(status, json.dumps(body))).verdict is verdict


def test_a_trace_is_read_back_by_its_id() -> None:
    check = snowflake().data_check(own_api.TRACE_ID, 1)
    told = json.loads(check.body)
    assert (check.method, check.url) == ("POST", ADDRESS)
    assert check.headers["authorization"] == "Bearer pat"
    assert told["statement"] == (
        "SELECT COUNT(*) FROM SNOWFLAKE_LEARNING_DB.PUBLIC.OPENROUTER_TRACES WHERE TRACE_ID = ?"
    )
    assert told["bindings"] == {"1": {"type": "TEXT", "value": own_api.TRACE_ID}}


@pytest.mark.parametrize(
    ("body", "seen"), [('{"data":[["1"]]}', True), ('{"data":[["0"]]}', False), ("{}", None), ("<", None)]
)
def test_a_count_says_whether_the_trace_is_there(body: str, seen: bool | None) -> None:
    assert snowflake().judge_data(own_api.answer(200, body)) is seen


@pytest.mark.parametrize(
    "value", ["a.snowflakecomputing.com", "https://app.snowflake.com/us-east-1/eac52885"]
)
def test_an_address_pasted_as_the_account_says_what_to_paste(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        snowflake(account=value)
    assert "account alone" in caught.value.problems["account"]


def test_an_account_with_an_underscore_has_a_host_with_a_hyphen() -> None:
    assert (
        snowflake(account="my_org-my_acc")
        .endpoint()
        .startswith("https://my-org-my-acc.snowflakecomputing.com")
    )


@pytest.mark.parametrize("setting", ["database", "schema", "table", "warehouse", "account"])
def test_a_name_cannot_hold_a_statement_or_an_address(setting: str) -> None:
    for value in ("a b", "a;b", 'a"b', "a/b", "https://a.snowflakecomputing.com"):
        with pytest.raises(SettingsError) as caught:
            snowflake(**{setting: value})
        assert caught.value.problems.keys() == {setting}
