from pathlib import Path

import pytest

from broadcast.errors import ConfigError
from broadcast.operator_declaration import CONTENT_MAX_BYTES, Declaration, read
from broadcast.sampling import SAMPLERS

WHOLE = """
endpoint: https://otlp.example.com/otlp
protocol: http/json
headers: {X-Team: search}
bearer_token: ${OTLP_TOKEN}
service_name: llm-router
resource_attributes: {deployment.environment.name: "${STAGE}", replicas: 3, canary: true}
sampler: parentbased_traceidratio
sampler_arg: 0.25
content_capture: full
content_attr_max_bytes: 4096
traces:
  batch: {max_export_batch_size: 64, flush_ms: 5000, max_queue_size: 2048}
"""
SET = {"OTLP_TOKEN": "t0ken", "STAGE": "production"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "otel.yaml"


def of_file(path: Path, text: str, **variables: str) -> Declaration | None:
    path.write_text(text)
    return read(variables, path)


def declared(path: Path, text: str, **variables: str) -> Declaration:
    found = of_file(path, text, **variables)
    assert found is not None
    return found


def test_without_an_address_nothing_is_declared(path: Path) -> None:
    assert read({"OTEL_SERVICE_NAME": "router", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"}, None) is None
    assert of_file(path, "") is None
    assert of_file(path, "service_name: router") is None


def test_an_address_alone_says_enough() -> None:
    assert read({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example.com"}, None) == Declaration(
        endpoint="https://otlp.example.com/v1/traces",
        encoding="protobuf",
        headers={},
        resource_attributes={},
        sampler="parentbased_always_on",
        sampler_arg=1.0,
        content=False,
        content_max_bytes=CONTENT_MAX_BYTES,
        max_spans=None,
        every_ms=None,
    )


def test_the_file_says_everything(path: Path) -> None:
    assert of_file(path, WHOLE, **SET) == Declaration(
        endpoint="https://otlp.example.com/otlp/v1/traces",
        encoding="json",
        headers={"X-Team": "search", "Authorization": "Bearer t0ken"},
        resource_attributes={
            "deployment.environment.name": "production",
            "replicas": 3,
            "canary": True,
            "service.name": "llm-router",
        },
        sampler="parentbased_traceidratio",
        sampler_arg=0.25,
        content=True,
        content_max_bytes=4096,
        max_spans=64,
        every_ms=5000,
    )


def test_over_grpc_nothing_is_appended(path: Path) -> None:
    found = declared(path, "endpoint: http://collector:4317\nprotocol: grpc")
    assert (found.endpoint, found.encoding) == ("http://collector:4317", "grpc")


def test_address_and_protocol_may_come_from_either(path: Path) -> None:
    text = "endpoint: https://a.example:4317"
    found = declared(path, text, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert (found.endpoint, found.encoding) == ("https://a.example:4317", "grpc")
    found = declared(path, "protocol: grpc", OTEL_EXPORTER_OTLP_ENDPOINT="https://b.example:4317")
    assert (found.endpoint, found.encoding) == ("https://b.example:4317", "grpc")


def test_a_variable_beats_the_file_and_leaves_the_rest_of_it(path: Path) -> None:
    found = declared(
        path,
        WHOLE,
        **SET,
        OTEL_EXPORTER_OTLP_ENDPOINT="https://other.example",
        OTEL_SERVICE_NAME="other",
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="false",
    )
    assert found.endpoint == "https://other.example/v1/traces"
    assert found.resource_attributes["service.name"] == "other"
    assert (found.sampler, found.content) == ("always_off", False)
    assert (found.encoding, found.max_spans) == ("json", 64)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "of-file"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=search"}, "of-file"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=of-attribute"}, "of-attribute"),
        ({"OTEL_SERVICE_NAME": "of-variable"}, "of-variable"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=of-attribute", "OTEL_SERVICE_NAME": "of-variable"},
            "of-variable",
        ),
    ],
    ids=str,
)
def test_the_service_is_named_by_a_variable_before_the_file(
    path: Path, variables: dict[str, str], named: str
) -> None:
    text = "endpoint: https://a.example\nservice_name: of-file\nresource_attributes: {service.name: other}"

    assert declared(path, text, **variables).resource_attributes["service.name"] == named


def test_the_export_may_be_switched_off_without_removing_the_file(path: Path) -> None:
    assert of_file(path, WHOLE, **SET, OTEL_TRACES_EXPORTER="none") is None
    assert of_file(path, WHOLE, **SET, OTEL_SDK_DISABLED="true") is None


def test_a_token_does_not_replace_a_header_that_is_given(path: Path) -> None:
    text = "endpoint: https://a.example\nheaders: {authorization: Basic x}\nbearer_token: other"
    assert declared(path, text).headers == {"authorization": "Basic x"}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_file_takes_each_sampler(path: Path, sampler: str) -> None:
    assert declared(path, f"endpoint: https://a.example\nsampler: {sampler}").sampler == sampler


@pytest.mark.parametrize(("word", "content"), [("off", False), ("'off'", False), ("full", True)])
def test_content_is_captured_as_said(path: Path, word: str, content: bool) -> None:
    assert declared(path, f"endpoint: https://a.example\ncontent_capture: {word}").content is content


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("colour: red", ("colour",)),
        ("traces: {batch: {size: 3}}", ("traces.batch", "size")),
        ("sampler: sometimes", ("sampler", "sometimes")),
        ("sampler_arg: 2", ("sampler_arg",)),
        ("content_capture: on", ("content_capture", "off or full")),
        ("content_attr_max_bytes: 3", ("content_attr_max_bytes", "256")),
        ("protocol: thrift", ("protocol", "http/protobuf", "grpc")),
        ("headers: {Authorization: '${NOT_SET}'}", ("headers.Authorization", "NOT_SET", "Set it")),
        ("headers: [a]", ("headers",)),
        ("metrics: {export_interval_ms: 15000}", ("metrics.export_interval_ms", "10000", "3600000")),
        ("metrics: {export_interval_ms: often}", ("metrics.export_interval_ms",)),
        ("metrics: {every: 60s}", ("metrics", "every")),
        ("service_name: [", ("line", "not valid YAML")),
    ],
)
def test_what_is_wrong_is_named_by_its_place(path: Path, line: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        of_file(path, f"endpoint: https://a.example\n{line}")
    assert all(word in str(caught.value) for word in ("BROADCAST_OTEL_CONFIG", *words)), str(caught.value)


@pytest.mark.parametrize(
    ("part", "said", "every"),
    [
        ("", {}, "off"),
        ("metrics: {}", {}, "60s"),
        ("metrics: {enabled: true}", {}, "60s"),
        ("metrics: {enabled: false}", {}, "off"),
        ("metrics: {enabled: false, export_interval_ms: 10000}", {}, "off"),
        ("metrics: {export_interval_ms: 10000, api_key_id_cap: 1024, user_id_cap: 256}", {}, "10s"),
        ("metrics: {export_interval_ms: 300000}", {"OTEL_METRIC_EXPORT_INTERVAL": "3600000"}, "1h"),
        ("metrics: {}", {"OTEL_METRICS_EXPORTER": "none"}, "off"),
        ("", {"OTEL_METRICS_EXPORTER": "otlp"}, "60s"),
        ("", {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRIC_EXPORT_INTERVAL": "30000"}, "30s"),
        ("", {"OTEL_METRIC_EXPORT_INTERVAL": "30000"}, "off"),
    ],
)
def test_metrics_are_sent_where_that_is_said(path: Path, part: str, said: dict[str, str], every: str) -> None:
    assert declared(path, f"endpoint: https://a.example\n{part}", **said).metrics == every


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_METRICS_EXPORTER", "prometheus"), ("OTEL_METRIC_EXPORT_INTERVAL", "15000")],
)
def test_a_variable_of_metrics_that_is_wrong_is_named(path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        of_file(path, "endpoint: https://a.example", **{name: value})


@pytest.mark.parametrize(
    ("protocol", "given", "address"),
    [
        ("http/protobuf", "https://m.example/v1/metrics", "https://m.example/v1/metrics"),
        ("grpc", "m.example:4317", "https://m.example:4317"),
        ("grpc", "http://m.example:4317", "http://m.example:4317"),
    ],
)
def test_metrics_may_have_an_address_of_their_own(protocol: str, given: str, address: str) -> None:
    said = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://a.example",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": given,
    }
    found = read(said, None)
    assert found is not None
    assert found.metrics_endpoint == address


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="BROADCAST_OTEL_CONFIG: the file cannot be read"):
        read({}, Path("no-such-file.yaml"))


def test_secrets_are_not_printed(path: Path) -> None:
    assert "t0ken" not in repr(declared(path, WHOLE, **SET))
