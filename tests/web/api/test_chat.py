"""The chat routes as SDKs see them: over a socket, from the server that serves in production."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import openai
import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from broadcast.gateway import PATHS, Gateway
from broadcast.gateway.record import Record
from broadcast.receipt import Receipt
from broadcast.trace_context import trace_id_of
from tests.web.api.chat_app import Ingest, make

BODY = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}]}
KEY = {"Authorization": "Bearer sk-chat"}
CHAT = "/api/v1/chat/completions"


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


@pytest.fixture
def client(ingest: Ingest) -> FlaskClient:
    return make(ingest).test_client()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--port", str(port)]
    with subprocess.Popen(
        [
            *command,
            "--blocking-threads",
            "16",
            "--workers-kill-timeout",
            "5",
            "tests.web.api.chat_app:application",
        ]
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_up(url)
            yield url
        finally:
            process.terminate()


def _wait_until_up(url: str) -> None:
    for _ in range(600):
        try:
            requests.get(f"{url}/offered", timeout=1)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("The server did not come up.")


@pytest.fixture
def sdk(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/api/v1", api_key="sk-chat", max_retries=0) as made:
        yield made


def offered(server: str, generation_id: str) -> Receipt:
    return _offered(server, lambda receipt: receipt.id == generation_id)


def _offered(server: str, is_it: Callable[[Receipt], bool], within_s: float = 10) -> Receipt:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        _, receipts = msgspec.json.decode(
            requests.get(f"{server}/offered", timeout=2).content, type=tuple[int, list[Receipt]]
        )
        for receipt in receipts:
            if is_it(receipt):
                return receipt
        time.sleep(0.02)
    raise AssertionError(f"No such receipt within {within_s} s.")


def error_of(answer: TestResponse) -> dict[str, Any]:
    error: dict[str, Any] = answer.get_json()["error"]
    return error


def test_the_openai_sdk_chats(server: str, sdk: openai.OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model="demo/echo",
        messages=[{"role": "user", "content": "Hi"}],
        user="u-1",
        extra_body={"trace": {"trace_id": "run 7"}, "session_id": "s-1"},
    )
    answer = raw.parse()
    assert answer.choices[0].message.content == "You said: Hi"
    receipt = offered(server, answer.id)
    assert (receipt.status, receipt.user, receipt.session_id) == ("succeeded", "u-1", "s-1")
    assert raw.headers["X-Trace-Id"] == trace_id_of(receipt)


def test_the_openai_sdk_streams(server: str, sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="demo/flaky", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: Hi"
    receipt = offered(server, chunks[0].id)
    assert receipt.streamed
    assert receipt.usage is not None
    assert len(receipt.attempts) == 2


def test_the_openai_sdk_gets_usage_when_it_asks(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="demo/echo",
        messages=[{"role": "user", "content": "Hi"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    *_, last = stream
    assert last.usage is not None
    assert last.usage.total_tokens == 8


def test_chunks_arrive_while_the_answer_is_made(sdk: openai.OpenAI) -> None:
    started = time.monotonic()
    stream = sdk.chat.completions.create(
        model="demo/slow", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    arrivals = [time.monotonic() - started for _ in stream]
    assert arrivals[0] < 0.8
    assert arrivals[-1] - arrivals[0] > 0.5


def test_a_client_that_goes_away_leaves_a_cancelled_receipt(server: str, sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="demo/slow", messages=[{"role": "user", "content": "one two three four five"}], stream=True
    )
    first = next(iter(stream))
    stream.close()
    receipt = offered(server, first.id)
    assert receipt.status == "cancelled"
    assert receipt.error is not None
    assert receipt.cost is None


def test_a_client_that_goes_away_before_the_first_byte_leaves_one_too(server: str) -> None:
    trace = f"left-{time.monotonic_ns()}"
    _send_and_leave(server, _request(server, {**BODY, "model": "demo/slow", "stream": True, "user": trace}))
    assert _offered(server, lambda receipt: receipt.user == trace).status == "cancelled"


def test_a_client_that_goes_away_while_it_asks_leaves_one_too(server: str) -> None:
    session = f"left-{time.monotonic_ns()}"
    whole = _request(server, BODY, **{"X-Session-Id": session})
    _send_and_leave(server, whole[:-10])
    receipt = _offered(server, lambda receipt: receipt.session_id == session)
    assert (receipt.status, receipt.model) == ("cancelled", "unknown")


def _request(server: str, body: dict[str, Any], **more: str) -> bytes:
    data = msgspec.json.encode(body)
    headers = {"Host": server.removeprefix("http://"), **KEY, "Content-Length": str(len(data)), **more}
    lines = [f"POST {CHAT} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def _send_and_leave(server: str, request: bytes) -> None:
    host, _, port = server.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(request)
        time.sleep(0.3)


def test_the_openai_sdk_understands_our_errors(server: str, sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="demo/none is not known"):
        sdk.chat.completions.create(model="demo/none", messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(openai.InternalServerError) as failed:
        sdk.chat.completions.create(model="demo/fail", messages=[{"role": "user", "content": "Hi"}])
    assert isinstance(failed.value.body, dict)
    receipt = offered(server, failed.value.body["metadata"]["generation_id"])
    assert (receipt.status, len(receipt.attempts)) == ("error", 1)


def test_the_openai_sdk_lists_models(sdk: openai.OpenAI) -> None:
    models = sdk.models.list().data
    assert [model.id for model in models] == ["demo/echo", "demo/flaky", "demo/fail", "demo/slow"]
    assert models[0].owned_by == "demo"


def test_models_have_the_fields_openrouter_requires(client: FlaskClient) -> None:
    answer = client.get("/api/v1/models", headers=KEY).get_json()
    assert (answer["total_count"], answer["links"]) == (4, {"next": None})
    pricing = answer["data"][0]["pricing"]
    assert (pricing["prompt"], pricing["completion"]) == ("0.00000015", "0.0000006")


def test_the_list_leads_to_each_of_its_models(client: FlaskClient) -> None:
    listed = client.get("/api/v1/models", headers=KEY).get_json()["data"]
    read = [client.get(model["links"]["details"], headers=KEY).get_json()["data"] for model in listed]
    assert read == listed


def test_a_model_that_is_not_known_is_404(client: FlaskClient) -> None:
    answer = client.get("/api/v1/model/demo/none", headers=KEY)
    assert (answer.status_code, error_of(answer)["metadata"]["reason"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer sk-none"}, {"Authorization": "Basic sk-chat"}]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", f"/api/v1{path}") for path in PATHS.values()),
        ("GET", "/api/v1/models"),
        ("GET", "/api/v1/model/demo/echo"),
    ],
)
def test_without_a_known_key_nothing_is_served(
    client: FlaskClient, headers: dict[str, str], method: str, path: str
) -> None:
    answer = client.open(path, method=method, json=BODY, headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (401, 401)


def test_a_key_without_the_scope_is_forbidden(client: FlaskClient) -> None:
    answer = client.post(CHAT, json=BODY, headers={"Authorization": "Bearer sk-receipts"})
    assert (answer.status_code, error_of(answer)["code"]) == (403, 403)


@pytest.mark.parametrize(
    ("query", "names", "following"),
    [
        ("?offset=0&limit=500", ["echo", "flaky", "fail", "slow"], None),
        ("?limit=2", ["echo", "flaky"], "/api/v1/models?offset=2&limit=2"),
        ("?offset=3&limit=2", ["slow"], None),
        ("?offset=4", [], None),
    ],
)
def test_models_come_in_pages(
    client: FlaskClient, query: str, names: list[str], following: str | None
) -> None:
    answer = client.get(f"/api/v1/models{query}", headers=KEY).get_json()
    assert [model["id"] for model in answer["data"]] == [f"demo/{name}" for name in names]
    assert (answer["total_count"], answer["links"]["next"]) == (4, following)


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?offset=-1", "?offset=x"])
def test_a_page_that_cannot_be_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/v1/models{query}", headers=KEY).status_code == 422


@pytest.mark.parametrize("path", PATHS.values())
def test_a_key_may_come_as_anthropics_sdk_sends_it(client: FlaskClient, path: str) -> None:
    answer = client.post(f"/api/v1{path}", json={**BODY, "input": "Hi"}, headers={"x-api-key": "sk-chat"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("bearer", "refusal"),
    [("sk-receipts", (403, "missing_scope")), ("sk-resting", (401, "key_not_active"))],
)
@pytest.mark.parametrize("path", PATHS.values())
def test_a_denied_key_that_is_known_has_a_receipt(
    client: FlaskClient, ingest: Ingest, path: str, bearer: str, refusal: tuple[int, str]
) -> None:
    body = {**BODY, "input": "Hi", "trace": {"trace_id": "ab" * 16}, "user": "u-1"}
    answer = client.post(f"/api/v1{path}", json=body, headers={"Authorization": f"Bearer {bearer}"})
    answer.close()
    [(_, receipt)] = ingest.offered
    assert (answer.status_code, error_of(answer)["metadata"]["reason"]) == refusal
    assert answer.headers["X-Trace-Id"] == "ab" * 16 == trace_id_of(receipt)
    assert (receipt.status, receipt.model, receipt.user, receipt.input) == (
        "denied",
        "demo/echo",
        "u-1",
        None,
    )
    assert receipt.error is not None
    assert (receipt.error.code, receipt.error.type) == refusal


def test_a_management_key_has_every_scope(client: FlaskClient) -> None:
    assert client.post(CHAT, json=BODY, headers={"Authorization": "Bearer sk-mgmt"}).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("GET", "/api/v1/models")])
def test_a_management_key_past_its_makers_role_is_forbidden(
    client: FlaskClient, ingest: Ingest, method: str, path: str
) -> None:
    past = {"Authorization": "Bearer sk-mgmt-past"}
    answer = client.open(path, method=method, json=BODY, headers=past)
    assert (answer.status_code, error_of(answer)["metadata"]["reason"]) == (403, "forbidden")
    assert ingest.offered == []


def test_a_database_out_of_reach_is_told_with_when_to_come_back(client: FlaskClient) -> None:
    answer = client.post(CHAT, json=BODY, headers={"Authorization": "Bearer sk-down"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")


@pytest.mark.parametrize("path", [f"/api/v1{path}" for path in PATHS.values()])
@pytest.mark.parametrize("bearer", ["sk-chat", "sk-receipts"])
def test_a_fault_of_ours_is_told_as_one_and_no_more(ingest: Ingest, path: str, bearer: str) -> None:
    """Whether the request would have been served or refused."""
    client = make(ingest, cast("Gateway", object())).test_client()

    answer = client.post(path, json=BODY, headers={"Authorization": f"Bearer {bearer}"})

    assert (answer.status_code, answer.content_type) == (500, "application/json")
    assert error_of(answer)["message"] == "The router failed. Try again."


def test_a_body_over_32_mib_is_refused_and_recorded(client: FlaskClient, ingest: Ingest) -> None:
    session = {"X-Session-Id": "s-1"}
    answer = client.post(CHAT, data=b" " * (32 * 2**20 + 1), headers={**KEY, **session})
    assert (answer.status_code, error_of(answer)["code"]) == (413, 413)
    answer.close()
    [(_, receipt)] = ingest.offered
    assert (receipt.status, receipt.model, receipt.session_id) == ("error", "unknown", "s-1")
    assert answer.headers["X-Trace-Id"] == trace_id_of(receipt)


def test_the_receipt_is_offered_only_after_the_last_byte(client: FlaskClient, ingest: Ingest) -> None:
    answer = client.post(CHAT, json={**BODY, "stream": True}, headers=KEY, buffered=False)
    pieces = list(answer.response)
    assert pieces[-1] == b"data: [DONE]\n\n"
    assert ingest.offered == []
    answer.close()
    assert [receipt.status for _, receipt in ingest.offered] == ["succeeded"]


def test_a_receipt_that_cannot_be_made_fails_no_request_and_is_lost(
    client: FlaskClient, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Record) -> Receipt:
        raise RuntimeError("nobody expects this")

    monkeypatch.setattr(Record, "receipt", broken)
    answer = client.post(CHAT, json=BODY, headers=KEY)
    answer.close()
    assert (answer.status_code, ingest.offered) == (200, [])
    assert ingest.lost == [answer.get_json()["id"]]
