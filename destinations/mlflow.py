"""MLflow Tracking: every request a trace of an experiment, on your own server.

Sources: https://mlflow.org/docs/latest/genai/tracing/opentelemetry/ingest (address, header, since 3.6) and
mlflow 3.17.2 (`server/otel_api.py`: media types, gzip, answers; `tracing/otel/translation`: what is read; the
store takes session and user from `session.id` and `user.id`), read 2026-11-21. Older: protobuf alone.
"""

from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination, Request, Response, basic_auth
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, under
from broadcast.receipt import Receipt
from destinations import _facts


class MLflow(OTLPDestination):
    """Traces with chat messages, tokens and cost in an experiment."""

    title = "MLflow"
    category = "llm"
    mark = "Ml"
    docs = "https://mlflow.org/docs/latest/genai/tracing/opentelemetry/ingest"
    setup = (
        "Run MLflow 3.6 or later with a SQL backend store, reachable over https.",
        "Open the experiment and copy its ID, the number in the page's address.",
        "Enter user name and password where the server asks for them.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        400: "MLflow refused the spans: check the experiment's ID, and that the server is 3.6 or later.",
        401: "MLflow asks for a user name and a password, or does not know these.",
        403: "This user may not write to the experiment.",
        404: "There is no such experiment, or no OTLP endpoint: MLflow has one since 3.6.",
        413: "The trace is larger than the server, or the proxy in front of it, accepts.",
        422: "MLflow could not store the spans: check the experiment's ID.",
        501: "The server's backend store cannot take spans: start it with a SQL database.",
    }

    base_url: HttpsUrl = field(
        "Tracking URI", example="https://mlflow.example.com", help="The address of the tracking server."
    )
    experiment_id: str = field(
        "Experiment ID", example="1", pattern=r"\d+", help="The number in the address of the experiment."
    )
    username: str | None = field(
        "User name", default=None, example="broadcast", help="Where the server asks for one."
    )
    password: Secret = field(
        "Password", default=Secret(""), example="example", help="Together with the name."
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the server's traces address."""
        return under(self.base_url, "/v1/traces")

    def auth(self) -> Headers:
        """Return the experiment, and Basic auth where a user is named."""
        experiment = {"x-mlflow-experiment-id": self.experiment_id}
        return {**experiment, **basic_auth(self.username, self.password)} if self.username else experiment

    def data_check(self, trace_id: str, at_us: int) -> Request:
        """Ask for the trace by MLflow's own id of it."""
        del at_us
        url = under(self.base_url, f"/api/3.0/mlflow/traces/tr-{trace_id}")
        return Request(method="GET", url=url, headers={**self.auth(), **self.extra_headers()}, body=b"")

    def judge_data(self, response: Response) -> bool | None:
        """Return whether the trace is there."""
        return _facts.is_there(response)

    def trace_url(self, trace_id: str, at_us: int) -> str:
        """Return the experiment's traces with this one opened."""
        del at_us
        base = self.endpoint().removesuffix("/v1/traces")
        return f"{base}/#/experiments/{self.experiment_id}/traces?selectedEvaluationId=tr-{trace_id}"

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return our cost in place of an estimate; all the rest is read from `gen_ai.*`."""
        cost = _facts.costs(receipt, total="total_cost", parts=("input_cost", "output_cost"))
        return {"mlflow.llm.cost": _facts.as_json(cost)} if cost else {}
