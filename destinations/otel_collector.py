"""Any OTLP/HTTP receiver: an OpenTelemetry Collector, Jaeger, Tempo, or a vendor without a file of its own.

Sources: https://opentelemetry.io/docs/specs/otlp/ (OTLP/HTTP 1.11) and
https://github.com/open-telemetry/opentelemetry-collector/tree/main/receiver/otlpreceiver, read 2026-11-20.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import OTLPDestination
from broadcast.fields import HttpsUrl, SecretHeaders, field


class OtelCollector(OTLPDestination):
    """Spans over OTLP/HTTP, to the address exactly as given."""

    title = "OpenTelemetry Collector"
    category = "tracing"
    mark = "Ot"
    docs = "https://opentelemetry.io/docs/collector/"
    setup = (
        "Enable the OTLP receiver with its HTTP protocol, and make it reachable over https.",
        "Enter the full address of its traces, usually https://host:4318/v1/traces; nothing is appended.",
        "Add the headers that it asks for, such as Authorization.",
    )
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The receiver wants other credentials: check the headers.",
        403: "The receiver knows these credentials but does not allow them to send traces.",
        404: "There is nothing at this path; the address usually ends in /v1/traces.",
        405: "The receiver does not take POST here; the address usually ends in /v1/traces.",
        413: "The receiver accepts only smaller requests.",
        415: "The receiver does not take this encoding: choose the other one.",
        429: "The receiver asks for fewer requests.",
    }

    endpoint_url: HttpsUrl = field(
        "Endpoint",
        outside="endpoint",
        example="https://otel.example.com/v1/traces",
        help="The full address of the traces, usually ending in /v1/traces.",
    )
    encoding: Literal["json", "protobuf"] = field(
        "Encoding", default="json", example="json", help="Some receivers take only protobuf."
    )
    headers: SecretHeaders = field(
        "Headers",
        default=SecretHeaders(),
        example={"Authorization": "Bearer example"},
        help="Sent with every request; values are secret.",
    )

    def endpoint(self) -> str:
        """Return the address as given."""
        return self.endpoint_url
