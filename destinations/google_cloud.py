"""Google Cloud: spans in Cloud Trace, through the Telemetry (OTLP) API.

Sources: https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.traces.post (address, scope)
and https://docs.cloud.google.com/stackdriver/quotas (64 KiB a value), read 2026-11-21. A service account
signs the tokens itself. The page of a trace is not documented.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Final

from broadcast.destination import Attributes, Batch, OTLPDestination, Request
from broadcast.fields import SecretHeaders, own_headers
from destinations import _google

_API: Final = "https://telemetry.googleapis.com"


class GoogleCloud(_google.WithKeyFile, OTLPDestination):
    """Spans in Cloud Trace, beside your services."""

    title = "Google Cloud"
    category = "tracing"
    mark = "Go"
    docs = "https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/overview"
    setup = (
        "Enable the Telemetry API in your project.",
        "Create a service account with the role Cloud Telemetry Traces Writer.",
        "Under Keys of the service account, add a JSON key, and paste the whole file.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 65_536
    hints: ClassVar[Mapping[int, str]] = {
        400: "The spans were refused: check the project's ID.",
        401: "The key is not accepted: paste the whole JSON key file of a service account that still has it.",
        403: "Enable the Telemetry API, and give the service account Cloud Telemetry Traces Writer.",
        404: "There is no such project.",
        413: "The request is larger than Google accepts.",
        429: "The project's quota is reached.",
    }

    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the traces address, which is the same everywhere."""
        return f"{_API}/v1/traces"

    def request(self, batch: Batch) -> Request:
        """Return the request with a token for the time of sending."""
        made = super().request(batch)
        return dataclasses.replace(made, headers={**made.headers, **self.bearer(_API, batch.at_us)})

    def resource_attributes(self) -> Attributes:
        """Return the project that the spans belong to."""
        return {"gcp.project_id": self.project_id}

    def trace_url(self, trace_id: str, at_us: int) -> str:
        """Return the trace in Cloud Trace."""
        del at_us
        return f"https://console.cloud.google.com/traces/list?project={self.project_id}&tid={trace_id}"
