import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from broadcast.destination import Verdict
from broadcast.egress import Policy
from broadcast.errors import SettingsError
from broadcast.transport import send_once
from destinations.clickhouse import ClickHouse
from tests.destinations import own_api
from tests.receiver import Receiver, Seen

HOST = "https://ch.example.com:8443"
CONFIG = {"host": HOST, "database": "llm", "username": "writer", "password": "s3cret"}


def clickhouse(**config: Any) -> ClickHouse:
    return ClickHouse.parse({**CONFIG, **config})


def rows(*told: Any, **config: Any) -> list[dict[str, Any]]:
    destination = clickhouse(**config)
    body = destination.request(own_api.batch(destination, *told)).body
    return [json.loads(line) for line in body.splitlines()]


def sent(receiver: Receiver, **answer: Any) -> tuple[Seen, Verdict]:
    if answer:
        receiver.answer("/", **answer)
    destination = clickhouse(host=receiver.url(""))
    policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
    request = destination.request(own_api.batch(destination))
    response = send_once(policy, lambda transport: transport.send(request))
    return receiver.requests[-1], destination.judge(response).verdict


def test_rows_are_inserted_over_http_with_clickhouses_own_headers() -> None:
    with Receiver() as receiver:
        seen, verdict = sent(receiver, body=b"", headers={"x-clickhouse-query-id": "q"})
    query = parse_qs(urlsplit(seen.path).query)
    assert verdict is Verdict.DELIVERED
    assert seen.method == "POST"
    assert query.pop("insert_deduplication_token")
    assert query == {
        "query": ["INSERT INTO `llm`.`OPENROUTER_TRACES` FORMAT JSONEachRow"],
        "date_time_input_format": ["best_effort"],
        "input_format_skip_unknown_fields": ["0"],
        "wait_end_of_query": ["1"],
    }
    assert (seen.headers["x-clickhouse-user"], seen.headers["x-clickhouse-key"]) == ("writer", "s3cret")
    assert (seen.headers["content-type"], seen.headers["content-encoding"]) == (
        "application/x-ndjson",
        "gzip",
    )
    assert [json.loads(line)["TRACE_ID"] for line in seen.body.splitlines()] == [own_api.TRACE_ID] * 5


def test_a_generation_fills_the_columns_of_openrouters_table() -> None:
    root, generation, route, first_try, _ = rows()
    assert [row["SPAN_TYPE"] for row in (root, generation, route)] == ["SPAN", "GENERATION", "SPAN"]
    known = {name: value for name, value in generation.items() if value is not None}
    for name in ("ATTRIBUTES", "INPUT", "OUTPUT", "METADATA", "MODEL_PARAMETERS", "RESOURCE_ATTRIBUTES"):
        assert isinstance(known[name], str)
        known[name] = json.loads(known[name])
    assert known.pop("ATTRIBUTES")["gen_ai.request.model"] == "openai/gpt-4o-mini"
    assert known == {
        "TRACE_ID": own_api.TRACE_ID,
        "SPAN_ID": generation["SPAN_ID"],
        "PARENT_SPAN_ID": root["SPAN_ID"],
        "TIMESTAMP": "2026-09-21T14:13:20.000000Z",
        "START_TIME": "2026-09-21T14:13:20.000000Z",
        "END_TIME": "2026-09-21T14:13:21.234567Z",
        "DURATION_MS": 1234.567,
        "USER_ID": "user-7",
        "SESSION_ID": "session-42",
        "API_KEY_NAME": "backend",
        "MODEL": "openai/gpt-4o-mini-2024-07-18",
        "PROVIDER_NAME": "OpenAI",
        "PROVIDER_SLUG": "openai",
        "STATUS": "ok",
        "LEVEL": "DEFAULT",
        "FINISH_REASON": "stop",
        "PROMPT_TOKENS": 1200,
        "COMPLETION_TOKENS": 345,
        "TOTAL_TOKENS": 1545,
        "CACHED_TOKENS": 1000,
        "REASONING_TOKENS": 64,
        "INPUT_COST": 0.00018,
        "OUTPUT_COST": 0.000207,
        "TOTAL_COST": 0.000387,
        "SPAN_TYPE": "GENERATION",
        "SPAN_KIND": "CLIENT",
        "OPERATION_NAME": "chat",
        "INPUT": {"messages": [{"role": "user", "content": "What is a span?"}]},
        "OUTPUT": {"completion": "A piece of a trace.", "reasoning": None},
        "METADATA": {
            "trace_name": "Search",
            "generation_name": "chat openai/gpt-4o-mini",
            "feature": "search",
            "tags": ["a", "b"],
        },
        "TAGS": ["a", "b"],
        "MODEL_PARAMETERS": {"temperature": 0.7, "max_tokens": 1024},
        "RESOURCE_ATTRIBUTES": {
            "service.name": "openrouter",
            "service.version": "1.0.0",
            "openrouter.trace.id": "gen-1790000000-AbCdEfGhIjKlMnOpQrSt",
        },
    }
    assert first_try["PARENT_SPAN_ID"] == generation["SPAN_ID"]
    assert (first_try["PROMPT_TOKENS"], first_try["TOTAL_COST"]) == (None, None)


def test_content_is_in_its_own_columns_alone() -> None:
    assert not any("A piece of a trace" in row["ATTRIBUTES"] for row in rows())


def test_a_failed_request_is_an_error_with_its_words() -> None:
    generation = rows(own_api.failed_receipt())[1]
    assert (generation["STATUS"], generation["LEVEL"], generation["OUTPUT"]) == ("error", "ERROR", None)
    assert json.loads(generation["ATTRIBUTES"])["exception.message"] == "The provider went away."


def test_every_row_names_every_column_of_the_statement() -> None:
    declared = [line.split()[0] for line in ClickHouse.sql.splitlines() if line.startswith("  ")]
    assert [*rows()[0]] == declared[:-1]
    assert [*rows(shouldIncludeCacheWriteTokens=True)[0]] == declared
    assert declared[-1] == "CACHE_WRITE_TOKENS"


def test_the_same_rows_come_under_the_same_token_and_others_under_another() -> None:
    destination = clickhouse()
    urls = [
        destination.request(own_api.batch(destination, *told, at_us=at_us)).url
        for told, at_us in (((), 1), ((), 2), ((own_api.receipt(id="gen-2"),), 1))
    ]
    assert urls[0] == urls[1] != urls[2]


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (403, 516, Verdict.REFUSED),
        (500, 497, Verdict.REFUSED),
        (404, 60, Verdict.REFUSED),
        (404, 81, Verdict.REFUSED),
        (400, 27, Verdict.REJECTED),
        (500, 53, Verdict.REJECTED),
        (500, 252, Verdict.THROTTLED),
        (503, 202, Verdict.THROTTLED),
        (500, 241, Verdict.RETRYING),
        (200, 241, Verdict.RETRYING),
        (200, 27, Verdict.REJECTED),
    ],
)
@pytest.mark.parametrize("where", ["header", "body"])
def test_an_exception_means_what_its_code_says_whatever_the_status(
    status: int, code: int, verdict: Verdict, where: str
) -> None:
    body = f"Code: {code}. DB::Exception: Words. (NAME) (version 25.3)"
    told = own_api.answer(status, body) if where == "body" else own_api.answer(
        status, "Words", x_clickhouse_exception_code=str(code)
    )  # fmt: skip
    outcome = clickhouse().judge(told)
    assert (outcome.verdict, outcome.status_code) == (verdict, status)
    assert f"exception {code}" in outcome.reason


def test_an_exception_that_comes_with_200_over_the_wire_is_no_delivery() -> None:
    with Receiver() as receiver:
        _, verdict = sent(receiver, body=b"Code: 60. DB::Exception: Table llm.T does not exist.")
    assert verdict is Verdict.REFUSED


def test_a_missing_column_is_the_tables_fault_and_not_the_rows() -> None:
    words = "Code: 117. DB::Exception: Unknown field found while parsing JSONEachRow format: TAGS."
    assert clickhouse().judge(own_api.answer(400, words)).verdict is Verdict.REFUSED


def test_a_trace_is_read_back_by_its_id() -> None:
    check = clickhouse().data_check(own_api.TRACE_ID, 1)
    query = parse_qs(urlsplit(check.url).query)["query"]
    assert query == [f"SELECT count() FROM `llm`.`OPENROUTER_TRACES` WHERE TRACE_ID = '{own_api.TRACE_ID}'"]
    assert check.headers == {"x-clickhouse-user": "writer", "x-clickhouse-key": "s3cret"}


@pytest.mark.parametrize(
    ("status", "body", "seen"),
    [(200, "1\n", True), (200, "0\n", False), (403, "Code: 497. DB::Exception", None), (200, "Ok.", None)],
)
def test_a_count_says_whether_the_trace_is_there(status: int, body: str, seen: bool | None) -> None:
    assert clickhouse().judge_data(own_api.answer(status, body)) is seen


@pytest.mark.parametrize("name", ["a`b", "a b", "a.b", "1a", "a;DROP TABLE x"])
@pytest.mark.parametrize("setting", ["database", "table"])
def test_a_name_cannot_hold_a_statement(setting: str, name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        clickhouse(**{setting: name})
    assert caught.value.problems.keys() == {setting}


@pytest.mark.parametrize("host", ["https://console.clickhouse.cloud/services/x", "https://clickhouse.com"])
def test_the_console_is_no_host(host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        clickhouse(host=host)
    assert "your host" in caught.value.problems["host"]
