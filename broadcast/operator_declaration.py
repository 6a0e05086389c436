"""The operator's export as declared: by OpenTelemetry's variables, by a file, or by both.

The file is named by BROADCAST_OTEL_CONFIG (YAML); a variable beats what the file says of the same thing. Its
names are those of BitRouter's `otel` block, so that one can be moved here as it is:

endpoint: https://otlp.example.com      # `/v1/traces` is appended, unless it ends so already
protocol: http/protobuf                 # or http/json, or grpc: then the endpoint is https://host:4317
headers:
  Authorization: Basic ${OTLP_TOKEN}    # from the environment; never written into the database in plain text
bearer_token: ${OTLP_TOKEN}             # the same as a header `Authorization: Bearer`, where there is none
service_name: llm-router
resource_attributes: {deployment.environment.name: production}
sampler: parentbased_traceidratio       # one of the six; parentbased_always_on when left out
sampler_arg: 0.25
content_capture: off                    # or full: prompts and completions too
content_attr_max_bytes: 131072          # the longest value; longer ones are cut
traces:
  batch: {max_export_batch_size: 512, flush_ms: 0, max_queue_size: 2048}
metrics: {export_interval_ms: 60000}    # sent where this part stands; enabled: false switches them off
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from broadcast import declared_file, otel_variables
from broadcast.fields import METRICS_EVERY_S, MetricsEvery
from broadcast.genai_names import SERVICE_NAME
from broadcast.sampling import Sampler

SETTING: Final = "BROADCAST_OTEL_CONFIG"
CONTENT_MAX_BYTES: Final = 131_072
_USUAL_MS: Final = 60_000

_Scalar = str | bool | int | float
_Encoding = Literal["json", "protobuf", "grpc"]
ENCODINGS: Final[Mapping[str, _Encoding]] = {
    "http/json": "json",
    "http/protobuf": "protobuf",
    "grpc": "grpc",
}


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What the operator wants of every workspace; `endpoint` is the full address of the traces.

    Over gRPC it is that of the server.
    """

    endpoint: str
    encoding: _Encoding
    headers: Mapping[str, str] = field(repr=False)
    resource_attributes: Mapping[str, _Scalar]
    sampler: str
    sampler_arg: float
    content: bool
    content_max_bytes: int
    max_spans: int | None
    every_ms: int | None
    metrics: MetricsEvery = "off"
    metrics_endpoint: str | None = None


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Batch(_Strict, frozen=True, kw_only=True):
    max_export_batch_size: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    flush_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] | None = None
    # The queue is the log itself, from which nothing is dropped: read, so that a block can be moved here.
    max_queue_size: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _Traces(_Strict, frozen=True, kw_only=True):
    batch: _Batch = _Batch()


class _Metrics(_Strict, frozen=True, kw_only=True):
    enabled: bool = True
    export_interval_ms: int = _USUAL_MS
    # Neither keys nor users are labels here: read, so that a block can be moved here.
    api_key_id_cap: Annotated[int, msgspec.Meta(ge=0)] | None = None
    user_id_cap: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Form(_Strict, frozen=True, kw_only=True):
    endpoint: str | None = None
    protocol: str | None = None
    headers: dict[str, str] = {}
    bearer_token: str | None = None
    service_name: str | None = None
    resource_attributes: dict[str, _Scalar] = {}
    sampler: Sampler | None = None
    sampler_arg: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    # YAML 1.1 reads a bare `off` as false.
    content_capture: Literal["off", "full"] | bool = "off"
    content_attr_max_bytes: Annotated[
        int, msgspec.Meta(ge=otel_variables.MIN_VALUE_BYTES, le=otel_variables.MAX_VALUE_BYTES)
    ] = CONTENT_MAX_BYTES
    traces: _Traces = _Traces()
    metrics: _Metrics = _Metrics(enabled=False)


def read(variables: Mapping[str, str], path: Path | None) -> Declaration | None:
    """Return what is declared, None where nothing is; raise `ConfigError` naming what is wrong."""
    of_file = _of_file(path, variables) if path else {}
    said = _named(of_file) | _named(otel_variables.read(variables))
    endpoint = otel_variables.traces_address(said)
    if not said.get("wanted", True) or not endpoint:
        return None
    attributes = dict(said.get("resource_attributes", {}))
    if "service_name" in said:
        attributes[SERVICE_NAME] = said["service_name"]
    return Declaration(
        endpoint=endpoint,
        encoding=ENCODINGS[said.get("protocol", "http/protobuf")],
        headers=said.get("headers", {}),
        resource_attributes=attributes,
        sampler=said.get("sampler", "parentbased_always_on"),
        sampler_arg=said.get("sampler_arg", 1.0),
        content=said.get("content") == "full",
        content_max_bytes=said.get("content_max_bytes", CONTENT_MAX_BYTES),
        max_spans=said.get("max_spans"),
        every_ms=said.get("every_ms"),
        metrics=_every(said.get("metrics_every_ms", _USUAL_MS)) if said.get("metrics") else "off",
        metrics_endpoint=otel_variables.metrics_address(said),
    )


def _every(interval_ms: int) -> MetricsEvery:
    """Return an interval by the word of a destination's setting."""
    return next(word for word, every_s in METRICS_EVERY_S.items() if every_s * 1000 == interval_ms)


def _named(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one source says, its attribute `service.name` as the service's name, which beats it."""
    attributes = said.get("resource_attributes", {})
    of_attribute = {"service_name": attributes[SERVICE_NAME]} if SERVICE_NAME in attributes else {}
    return {**of_attribute, **said}


def _of_file(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    form = declared_file.declared(SETTING, declared_file.document(SETTING, path) or {}, _Form, "")

    def filled(text: str | None, place: str) -> str | None:
        return None if text is None else declared_file.filled(SETTING, text, variables, place)

    endpoint, protocol = filled(form.endpoint, "endpoint"), form.protocol
    headers = {name: filled(value, f"headers.{name}") for name, value in form.headers.items()}
    token = filled(form.bearer_token, "bearer_token")
    if token and "authorization" not in {name.lower() for name in headers}:
        headers["Authorization"] = f"Bearer {token}"
    attributes = {
        name: filled(value, f"resource_attributes.{name}") if isinstance(value, str) else value
        for name, value in form.resource_attributes.items()
    }
    if form.content_capture is True:
        raise declared_file.wrong(SETTING, "content_capture must be off or full.")
    allowed = otel_variables.METRIC_INTERVALS_MS
    if form.metrics.export_interval_ms not in allowed:
        words = ", ".join(map(str, allowed))
        raise declared_file.wrong(SETTING, f"metrics.export_interval_ms must be one of {words}.")
    batch = form.traces.batch
    found = {
        "base": endpoint,
        "protocol": otel_variables.protocol_of(protocol, f"{SETTING}: protocol") if protocol else None,
        "headers": headers,
        "service_name": filled(form.service_name, "service_name"),
        "resource_attributes": attributes,
        "sampler": form.sampler,
        "sampler_arg": form.sampler_arg,
        "content": "full" if form.content_capture == "full" else "off",
        "content_max_bytes": form.content_attr_max_bytes,
        "max_spans": batch.max_export_batch_size,
        "every_ms": batch.flush_ms,
        "metrics": form.metrics.enabled,
        "metrics_every_ms": form.metrics.export_interval_ms,
    }
    return {name: value for name, value in found.items() if value is not None}
