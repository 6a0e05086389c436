"""OpenTelemetry's standard variables, as far as they say where and how traces and metrics are exported.

Sources: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ (general, sampler,
batch span processor, exporters of metrics) and https://opentelemetry.io/docs/specs/otel/protocol/exporter/
(OTLP), read 2026-11-21.
An empty variable counts as one that is not set; each may come from a file, `NAME_FILE`, as ours do.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from broadcast import variables
from broadcast.errors import ConfigError
from broadcast.fields import METRICS_EVERY_S
from broadcast.sampling import SAMPLERS

PROTOCOLS: Final = ("http/protobuf", "http/json", "grpc")

_OTLP: Final = "OTEL_EXPORTER_OTLP_"
_TLS: Final = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
_MAX_SPANS: Final = 10_000
_MAX_DELAY_MS: Final = 600_000
MIN_VALUE_BYTES: Final = 256
MAX_VALUE_BYTES: Final = 1_000_000
METRIC_INTERVALS_MS: Final = tuple(1000 * every_s for every_s in METRICS_EVERY_S.values())


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """Return what the variables say, by the names of `operator_declaration.Declaration`; raise `ConfigError`.

    A variable that is not set is left out. `wanted` is False where they switch the export off.
    """
    env = _Variables(given)
    for name in _TLS:
        if env.otlp(name) is not None:
            raise ConfigError(
                f"{_OTLP}{name} is not supported: receivers are checked against the system's certificates. "
                "Remove it, and add the certificate authority there."
            )
    found = {
        "wanted": env.wanted(),
        "endpoint": env.text(f"{_OTLP}TRACES_ENDPOINT"),
        "base": env.text(f"{_OTLP}ENDPOINT"),
        "protocol": env.protocol(),
        "insecure": env.insecure(),
        "headers": env.headers(),
        "service_name": env.text("OTEL_SERVICE_NAME"),
        "resource_attributes": env.pairs("OTEL_RESOURCE_ATTRIBUTES"),
        "sampler": env.choice("OTEL_TRACES_SAMPLER", SAMPLERS),
        "sampler_arg": env.ratio("OTEL_TRACES_SAMPLER_ARG"),
        "content": env.content(),
        "content_max_bytes": env.value_bytes(),
        "max_spans": env.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", low=1, high=_MAX_SPANS),
        "every_ms": env.number("OTEL_BSP_SCHEDULE_DELAY", low=0, high=_MAX_DELAY_MS),
        "metrics": env.metrics(),
        "metrics_every_ms": env.metric_interval_ms(),
        "metrics_endpoint": env.text(f"{_OTLP}METRICS_ENDPOINT"),
    }
    return {name: value for name, value in found.items() if value is not None}


def protocol_of(text: str, place: str) -> str:
    """Return a protocol of OTLP; raise `ConfigError` for what does not exist."""
    if text not in PROTOCOLS:
        raise ConfigError(f"{place} must be one of {', '.join(PROTOCOLS)}.")
    return text


def traces_address(said: Mapping[str, Any]) -> str | None:
    """Return where traces go by what was said: to an address of their own, else below that of all signals.

    Over gRPC both are a server, which may be given without a scheme: then with TLS, unless told otherwise.
    """
    own, base = said.get("endpoint"), said.get("base")
    if said.get("protocol") != "grpc":
        return own or (base and _below(base))
    return _server(own or base, said)


def metrics_address(said: Mapping[str, Any]) -> str | None:
    """Return the address that was said to be for metrics alone; else they go beside the traces."""
    own = said.get("metrics_endpoint")
    return _server(own, said) if said.get("protocol") == "grpc" else own


def _server(server: str | None, said: Mapping[str, Any]) -> str | None:
    if server is None or "://" in server:
        return server
    return f"{'http' if said.get('insecure') else 'https'}://{server}"


def _below(base: str) -> str:
    """Return the address of traces below a receiver's address; one that ends there already stays."""
    address, mark, query = base.partition("?")
    whole = address.rstrip("/")
    path = whole if whole.endswith("/v1/traces") else f"{whole}/v1/traces"
    return f"{path}{mark}{query}"


class _Variables:
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        return variables.text(self._values, name) or None

    def otlp(self, name: str) -> tuple[str, str] | None:
        """Return the variable that is for traces, else the one for all signals, with its name."""
        for whole in (f"{_OTLP}TRACES_{name}", f"{_OTLP}{name}"):
            if (value := self.text(whole)) is not None:
                return whole, value
        return None

    def wanted(self) -> bool | None:
        if (self.text("OTEL_SDK_DISABLED") or "").lower() == "true":
            return False
        return self._exporter("OTEL_TRACES_EXPORTER")

    def metrics(self) -> bool | None:
        return self._exporter("OTEL_METRICS_EXPORTER")

    def metric_interval_ms(self) -> int | None:
        allowed = tuple(map(str, METRIC_INTERVALS_MS))
        text = self.choice("OTEL_METRIC_EXPORT_INTERVAL", allowed)
        return None if text is None else int(text)

    def _exporter(self, name: str) -> bool | None:
        exporters = self.text(name)
        if exporters is None:
            return None
        names = {each.strip() for each in exporters.split(",")}
        if names <= {"none"}:
            return False
        if "otlp" not in names:
            raise ConfigError(f"{name} must be otlp or none: nothing else is exported here.")
        return True

    def protocol(self) -> str | None:
        given = self.otlp("PROTOCOL")
        return None if given is None else protocol_of(given[1].lower(), given[0])

    def insecure(self) -> bool | None:
        given = self.otlp("INSECURE")
        return None if given is None else given[1].lower() == "true"

    def headers(self) -> dict[str, str] | None:
        given = self.otlp("HEADERS")
        return None if given is None else _pairs(*given)

    def pairs(self, name: str) -> dict[str, str] | None:
        text = self.text(name)
        return None if text is None else _pairs(name, text)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        text = self.text(name)
        if text is not None and text not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}.")
        return text

    def ratio(self, name: str) -> float | None:
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?", text) or not 0 <= float(text) <= 1:
            raise ConfigError(f"{name} must be a number from 0 to 1.")
        return float(text)

    def number(self, name: str, *, low: int, high: int) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ConfigError(f"{name} must be a whole number from {low} to {high}.")
        return int(text)

    def value_bytes(self) -> int | None:
        """The limit of spans' values, else of all values; the specification leaves its unit open."""
        for name in ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"):
            if (limit := self.number(name, low=MIN_VALUE_BYTES, high=MAX_VALUE_BYTES)) is not None:
                return limit
        return None

    def content(self) -> str | None:
        """The GenAI conventions' switch for prompts and completions."""
        text = self.choice("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", ("true", "false"))
        return None if text is None else ("full" if text == "true" else "off")


def _pairs(name: str, text: str) -> dict[str, str]:
    """Return `key=value,key=value`, percent-decoded; no value is ever in the error, for it may be secret."""
    found: dict[str, str] = {}
    for number, item in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        key, equals, value = item.partition("=")
        key = unquote(key.strip())
        if not key or not equals:
            raise ConfigError(
                f"{name}: entry {number} is not key=value. Separate entries by commas, and write a comma or "
                "a per cent sign inside a value as %2C or %25."
            )
        found[key] = unquote(value.strip())
    return found
