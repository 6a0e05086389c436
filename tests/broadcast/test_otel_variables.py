from pathlib import Path
from typing import Any

import pytest

from broadcast.errors import ConfigError
from broadcast.otel_variables import read, traces_address
from broadcast.sampling import SAMPLERS


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.example.com"}, "https://otel.example.com/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://a.example/otlp"}, "https://a.example/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://a.example/own"}, "https://a.example/own"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://all.example",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces.example/x",
            },
            "https://traces.example/x",
        ),
    ],
)
def test_the_address_of_traces_is_their_own_or_below_that_of_all_signals(
    variables: dict[str, str], endpoint: str
) -> None:
    assert traces_address(read(variables)) == endpoint


def test_an_address_that_ends_in_traces_stays_and_a_query_stays_behind_it() -> None:
    assert traces_address({"base": "https://a.example/v1/traces"}) == "https://a.example/v1/traces"
    assert traces_address({"base": "https://a.example/x?team=1"}) == "https://a.example/x/v1/traces?team=1"


@pytest.mark.parametrize(
    ("variables", "server"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.example.com:4317"}, "https://otel.example.com:4317"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "http://collector:4317"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:4317"}, "http://traces:4317"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "https://collector:4317"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"},
            "http://collector:4317",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317",
                "OTEL_EXPORTER_OTLP_INSECURE": "true",
                "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "false",
            },
            "https://collector:4317",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"},
            "https://collector:4317",
        ),
    ],
)
def test_over_grpc_an_address_is_a_server_whose_scheme_says_whether_it_has_tls(
    variables: dict[str, str], server: str
) -> None:
    assert traces_address(read({**variables, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})) == server


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("OTEL_SERVICE_NAME", "router", "service_name", "router"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "protocol", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf", "protocol", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "protocol", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "GRPC", "protocol", "grpc"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25", "sampler_arg", 0.25),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4096", "content_max_bytes", 4096),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4096", "content_max_bytes", 4096),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64", "max_spans", 64),
        ("OTEL_BSP_SCHEDULE_DELAY", "5000", "every_ms", 5000),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true", "content", "full"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "false", "content", "off"),
        ("OTEL_SDK_DISABLED", "TRUE", "wanted", False),
        ("OTEL_TRACES_EXPORTER", "none", "wanted", False),
        ("OTEL_TRACES_EXPORTER", "otlp", "wanted", True),
        *(("OTEL_TRACES_SAMPLER", sampler, "sampler", sampler) for sampler in SAMPLERS),
    ],
)
def test_each_variable_says_one_thing(variable: str, text: str, name: str, value: Any) -> None:
    assert read({variable: text}) == {name: value}


def test_an_empty_variable_counts_as_none() -> None:
    names = (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_SERVICE_NAME",
    )
    assert read(dict.fromkeys(names, " ")) == {}


def test_headers_and_attributes_are_pairs_with_their_signs_decoded() -> None:
    found = read(
        {
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20YWJj=, x-team = a%2Cb ,",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,owner=M%C3%BCller",
        }
    )
    assert found["headers"] == {"Authorization": "Basic YWJj=", "x-team": "a,b"}
    assert found["resource_attributes"] == {"deployment.environment.name": "prod", "owner": "Müller"}


def test_what_is_for_traces_alone_beats_what_is_for_all_signals() -> None:
    both = {
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=all",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=traces",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    }
    assert read(both) == {"headers": {"api-key": "traces"}, "protocol": "http/protobuf"}


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "headers"
    secret.write_text("api-key=from-a-file\n")
    assert read({"OTEL_EXPORTER_OTLP_HEADERS_FILE": str(secret)}) == {"headers": {"api-key": "from-a-file"}}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "smoke"},
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "grpc"),
        ),
        ({"OTEL_TRACES_SAMPLER": "xray"}, ("OTEL_TRACES_SAMPLER", *SAMPLERS)),
        ({"OTEL_TRACES_SAMPLER_ARG": "1.5"}, ("OTEL_TRACES_SAMPLER_ARG", "0 to 1")),
        ({"OTEL_TRACES_SAMPLER_ARG": "nan"}, ("OTEL_TRACES_SAMPLER_ARG", "0 to 1")),
        ({"OTEL_BSP_SCHEDULE_DELAY": "soon"}, ("OTEL_BSP_SCHEDULE_DELAY", "600000")),
        (
            {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "255"},
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "256 to 1000000"),
        ),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "0"}, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1 to")),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=1,nothing"}, ("OTEL_RESOURCE_ATTRIBUTES", "entry 2", "key=value")),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, ("OTEL_TRACES_EXPORTER", "otlp or none")),
        ({"OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem"}, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "not supported")),
        ({"OTEL_SERVICE_NAME_FILE": "/no/such/file"}, ("OTEL_SERVICE_NAME_FILE", "FileNotFoundError")),
        ({"OTEL_SERVICE_NAME": "a", "OTEL_SERVICE_NAME_FILE": "b"}, ("OTEL_SERVICE_NAME_FILE", "both set")),
        (
            {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "yes"},
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true, false"),
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_fix(variables: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(variables)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_header_that_cannot_be_read_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"OTEL_EXPORTER_OTLP_HEADERS": "s3cr3t-without-a-name"})
    assert "entry 1" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_the_limit_of_spans_values_beats_that_of_all() -> None:
    limits = {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "300", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "500"}
    assert read(limits)["content_max_bytes"] == 500
