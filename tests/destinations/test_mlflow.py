import json
from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.mlflow import MLflow
from tests.destinations import wire

SERVER = "https://mlflow.example.com"


def mlflow(**config: Any) -> MLflow:
    return MLflow.parse({"baseUrl": SERVER, "experimentId": "7", **config})


def test_the_experiment_gets_gzipped_protobuf() -> None:
    found = wire.send(mlflow(), body=b"", headers={"content-type": "application/x-protobuf"})
    assert found.url == f"{SERVER}/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["x-mlflow-experiment-id"] == "7"
    assert "authorization" not in found.seen.headers
    assert found.outcome.delivered


def test_a_user_logs_in_with_basic_auth() -> None:
    destination = mlflow(username="me", password="secret")
    assert destination.auth()["authorization"] == "Basic bWU6c2VjcmV0"


def test_cost_is_ours_and_the_rest_is_where_mlflow_reads_it() -> None:
    made = wire.generation(wire.send(mlflow()))
    assert json.loads(made["mlflow.llm.cost"]) == {
        "total_cost": 0.00042,
        "input_cost": 0.00012,
        "output_cost": 0.0003,
    }
    assert (made["gen_ai.usage.input_tokens"], made["gen_ai.usage.output_tokens"]) == (100, 50)
    assert (made["session.id"], made["user.id"]) == ("session-1", "user-1")
    assert json.loads(made["gen_ai.input.messages"])[1]["parts"][0]["content"] == "the-question"


@pytest.mark.parametrize("page", ["", "/", "/#/experiments/7/traces", "/v1/traces"])
def test_a_page_of_the_server_is_enough(page: str) -> None:
    assert mlflow(baseUrl=SERVER + page).endpoint() == f"{SERVER}/v1/traces"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(400, Verdict.REJECTED), (422, Verdict.REJECTED), (404, Verdict.REFUSED), (501, Verdict.RETRYING)],
)
def test_its_answers(status: int, verdict: Verdict) -> None:
    assert wire.send(mlflow(), status=status, body={"detail": "no"}).outcome.verdict is verdict
    assert status in MLflow.hints


def test_a_trace_has_a_page() -> None:
    link = mlflow().trace_url("ab", 0)
    assert link == f"{SERVER}/#/experiments/7/traces?selectedEvaluationId=tr-ab"


@pytest.mark.parametrize(("status", "seen"), [(200, True), (404, False), (401, None), (500, None)])
def test_the_test_trace_is_read_back(status: int, seen: bool | None) -> None:
    destination = mlflow()
    request = destination.data_check(wire.TRACE, 0)
    found = wire.exchange(destination, request, status=status, body="{}")
    assert (found.seen.method, found.url) == (
        "GET",
        f"https://mlflow.example.com/api/3.0/mlflow/traces/tr-{wire.TRACE}",
    )
    assert destination.judge_data(found.response) is seen
