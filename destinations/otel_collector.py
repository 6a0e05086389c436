"""Any OTLP receiver, over HTTP or gRPC: an OpenTelemetry Collector, Jaeger, or a vendor without a file here.

Sources: https://opentelemetry.io/docs/specs/otlp/ (OTLP 1.11) and
https://github.com/open-telemetry/opentelemetry-collector/tree/main/receiver/otlpreceiver, read 2026-11-20;
https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto/collector (the methods'
names) and https://opentelemetry.io/docs/specs/otel/protocol/exporter/ (http is plaintext over gRPC, https is
TLS, there is no path), read 2026-11-21.
The addresses of the receivers that `setup` names are from their own pages: Grafana Tempo, Jaeger, SigNoz,
OpenObserve, VictoriaTraces (`/insert/opentelemetry`), the Datadog Agent.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from broadcast.destination import Encoding, OTLPDestination, SettingsError, normalised
from broadcast.fields import HttpsUrl, MetricsEvery, SecretHeaders, field, own_trace_link, sent_metrics
from destinations import _tempo

_INSTEAD = "enter the address of traces over HTTP, usually on port 4318 and ending in /v1/traces."
_PORT_OF_GRPC = "Port 4317 is gRPC: choose grpc, or " + _INSTEAD
_NO_PATH = "Over gRPC there is no path: enter scheme, host and port, such as https://otel.example.com:4317."
_SERVICES = "/opentelemetry.proto.collector."


class OtelCollector(OTLPDestination):
    """Spans over OTLP, to the address exactly as given."""

    title = "OpenTelemetry Collector"
    category = "tracing"
    mark = "Ot"
    docs = "https://opentelemetry.io/docs/collector/"
    setup = (
        "Enable the OTLP receiver with its HTTP or gRPC protocol, and make it reachable over https.",
        "A private address, or plain http, works where the operator permits it: BROADCAST_EGRESS_ALLOW.",
        "Enter the full address of its traces, usually https://host:4318/v1/traces; nothing is appended.",
        "Over gRPC: scheme, host and port alone, usually https://host:4317, and the encoding grpc.",
        "Add the headers that it asks for, such as Authorization.",
        "Grafana Tempo: https://<host>:4318/v1/traces; with several tenants the header X-Scope-OrgID.",
        "Jaeger: https://<host>:4318/v1/traces; it has taken OTLP since 1.35.",
        "SigNoz: https://ingest.<region>.signoz.cloud/v1/traces with the header signoz-ingestion-key.",
        "OpenObserve: https://<host>/api/<organization>/v1/traces with the header Authorization (Basic).",
        "VictoriaTraces: https://<host>:10428/insert/opentelemetry/v1/traces, encoding protobuf.",
        "Datadog Agent: https://<host>:4318/v1/traces, once its OTLP receiver is enabled for HTTP.",
    )
    max_attribute_bytes = 1_000_000
    views = _tempo.VIEWS
    hints: ClassVar[Mapping[int, str]] = {
        401: "The receiver wants other credentials: check the headers.",
        403: "The receiver knows these credentials but does not allow them to send traces.",
        404: "There is nothing at this path, which usually ends in /v1/traces; over gRPC no such service.",
        405: "The receiver does not take POST here; the address usually ends in /v1/traces.",
        413: "The receiver accepts only smaller requests.",
        415: "The receiver does not take this encoding: choose the other one.",
        429: "The receiver asks for fewer requests.",
    }

    endpoint_url: HttpsUrl = field(
        "Endpoint",
        outside="endpoint",
        example="https://otel.example.com/v1/traces",
        instead={
            r"https?://[^/]+(?:/.*)?/v1/(?:metrics|logs)/?": "This is for another signal; " + _INSTEAD,
        },
        help="The full address of the traces, usually ending in /v1/traces; over gRPC no path.",
    )
    encoding: Literal["json", "protobuf", "grpc"] = field(
        "Encoding",
        default="json",
        example="json",
        help="JSON or protobuf over HTTP, or gRPC. Some receivers take only protobuf.",
    )
    compression: Literal["gzip", "none"] = field(
        "Compression", default="gzip", example="gzip", help="Some receivers take no compressed requests."
    )
    metrics: MetricsEvery = sent_metrics()
    metrics_url: HttpsUrl | None = field(
        "Metrics endpoint",
        outside="metricsEndpoint",
        default=None,
        example="https://otel.example.com/v1/metrics",
        help="The full address of the metrics, over gRPC without a path; left empty, beside the spans, with "
        "/v1/metrics in the place of /v1/traces.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = field(
        "Headers",
        default=SecretHeaders(),
        example={"Authorization": "Bearer example"},
        help="Sent with every request; values are secret.",
    )

    @classmethod
    def parse(cls, config: Mapping[str, Any], *, secrets_required: bool = True) -> Self:
        """Refuse an address that is not for the way it is sent."""
        made = super().parse(config, secrets_required=secrets_required)
        given = {"endpoint": made.endpoint_url, "metricsEndpoint": made.metrics_url or ""}
        wrong = {name: _problem(url, made.encoding) for name, url in given.items()}
        if problems := {name: text for name, text in wrong.items() if text is not None}:
            raise SettingsError(problems)
        return made

    def compresses(self) -> bool:
        """Whether the receiver takes what is compressed."""
        return self.compression == "gzip"

    def metrics_endpoint(self) -> str:
        """Return the address of metrics as given, else beside the spans'."""
        if self.encoding == "grpc":
            return f"{self.metrics_url or self.endpoint_url}{_SERVICES}metrics.v1.MetricsService/Export"
        return self.metrics_url or super().metrics_endpoint()

    def metrics_encoding(self) -> Encoding:
        """Return the encoding of the spans."""
        return self.encoding

    def address(self) -> tuple[str, ...]:
        """Return also the address of metrics that was given, which may be another server."""
        own = (normalised(self.metrics_url),) if self.metrics_url else ()
        return (*super().address(), *own)

    def endpoint(self) -> str:
        """Return the address as given; over gRPC with the method that is called there."""
        if self.encoding == "grpc":
            return f"{self.endpoint_url}{_SERVICES}trace.v1.TraceService/Export"
        return self.endpoint_url

    def view(self, text: str, source: str) -> str:
        """Return a view for the data source that is named, where Tempo is behind the receiver."""
        return _tempo.filled(text, source)

    def warnings(self) -> Mapping[str, str]:
        """Return an address that names a server alone: nothing is appended to it."""
        if self.encoding != "grpc" and urlsplit(self.endpoint_url).path in {"", "/", "/otlp"}:
            return {
                "endpoint": "Nothing is appended to this address; most receivers want /v1/traces at its end."
            }
        return {}


def _problem(url: str, encoding: Encoding) -> str | None:
    parts = urlsplit(url)
    if encoding == "grpc":
        return _NO_PATH if parts.path or parts.query else None
    return _PORT_OF_GRPC if parts.port == 4317 else None
