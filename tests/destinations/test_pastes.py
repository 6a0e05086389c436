"""The usual pastes into every field of every type: mended where they mean one thing only, else refused."""

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

import destinations
from broadcast.destination import Destination
from broadcast.errors import SettingsError
from broadcast.fields import Secret, SecretHeaders, Spec

LINE_BREAK = "has a line break in it"


def good(slug: str) -> dict[str, Any]:
    return {spec.outside: spec.example for spec in destinations.TYPES[slug].specs()}


def parsed(slug: str, **changes: Any) -> Destination:
    return destinations.TYPES[slug].parse({**good(slug), **changes})


def problem(slug: str, setting: str, pasted: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        parsed(slug, **{setting: pasted})
    assert caught.value.problems.keys() == {setting}
    return caught.value.problems[setting]


def fields(*kinds: str) -> list[Any]:
    """Every setting of these kinds; a key file is JSON over several lines and has pastes of its own."""
    return [
        pytest.param(slug, spec, id=f"{slug}.{spec.outside}")
        for slug, kind in destinations.TYPES.items()
        for spec in kind.specs()
        if spec.kind in kinds and not str(spec.example).startswith('{"')
    ]


def wrapped(spec: Spec) -> Iterator[str]:
    """What a value is copied with, whatever it is."""
    value = str(spec.example)
    yield f"  {value} "
    yield f"{value}\n"
    yield f"\t{value}\r\n"
    yield f"\u200b{value}\u00a0"
    yield f'"{value}"'
    yield f"'{value}',"
    yield f"`{value}`"
    yield f"MY_SETTING={shlex.quote(value)}"
    yield f"export MY_SETTING={shlex.quote(value)}"


@pytest.mark.parametrize(("slug", "spec"), fields("text", "url", "secret", "choice"))
def test_spaces_quotes_and_names_around_a_value_are_dropped(slug: str, spec: Spec) -> None:
    expected = parsed(slug)
    for pasted in wrapped(spec):
        assert parsed(slug, **{spec.outside: pasted}) == expected, pasted


@pytest.mark.parametrize(("slug", "spec"), fields("secret"))
def test_a_credential_is_taken_out_of_header_and_command(slug: str, spec: Spec) -> None:
    expected, value = parsed(slug), str(spec.example)
    for pasted in (
        f"Bearer {value}",
        f"Authorization: Bearer {value}",
        f"Authorization=Bearer%20{value}",
        f"x-api-key: {value}",
        f"curl -X POST https://api.example.com/v1/traces -H 'Authorization: Bearer {value}' -d '{{}}'",
        f"curl https://api.example.com -H 'content-type: application/json' \\\n  -H 'api-key: {value}'",
    ):
        assert parsed(slug, **{spec.outside: pasted}) == expected, pasted


@pytest.mark.parametrize(("slug", "spec"), fields("url"))
def test_an_address_is_taken_out_of_a_command(slug: str, spec: Spec) -> None:
    expected, value = parsed(slug), str(spec.example)
    for pasted in (
        f"curl -X POST {value} -H 'content-type: application/json'",
        f"curl '{value}' \\\n  -d @spans.json",
        f"<{value}>",
    ):
        assert parsed(slug, **{spec.outside: pasted}) == expected, pasted


@pytest.mark.parametrize(("slug", "spec"), fields("url"))
def test_what_only_a_browser_sees_is_dropped(slug: str, spec: Spec) -> None:
    assert parsed(slug, **{spec.outside: f"{spec.example}#/settings"}) == parsed(slug)


def bases() -> list[Any]:
    """Every address that a type adds its own path to."""
    return [
        one
        for one in fields("url")
        if parsed(one.values[0]).endpoint().removeprefix(one.values[1].example).startswith("/")
        and not destinations.TYPES[one.values[0]].has_own_api()
    ]


@pytest.mark.parametrize(("slug", "spec"), bases())
@pytest.mark.parametrize("end", ["/", "/v1/traces", "/v1/traces/"])
def test_the_traces_path_is_never_doubled(slug: str, spec: Spec, end: str) -> None:
    assert parsed(slug, **{spec.outside: spec.example + end}).endpoint() == parsed(slug).endpoint()


@pytest.mark.parametrize(("slug", "spec"), bases())
def test_the_whole_address_is_as_good_as_its_base(slug: str, spec: Spec) -> None:
    whole = parsed(slug).endpoint()
    assert parsed(slug, **{spec.outside: whole}).endpoint() == whole


@pytest.mark.parametrize(("slug", "spec"), fields("text", "url", "secret"))
def test_a_value_over_two_lines_is_refused(slug: str, spec: Spec) -> None:
    value = str(spec.example)
    assert LINE_BREAK in problem(slug, spec.outside, f"{value}\n{value}")


@pytest.mark.parametrize(("slug", "spec"), fields("text"))
def test_a_command_in_the_place_of_a_name_is_refused(slug: str, spec: Spec) -> None:
    assert "command" in problem(slug, spec.outside, "curl https://api.example.com -H 'x-api-key: a'")


@pytest.mark.parametrize(("slug", "spec"), fields("url"))
def test_a_command_with_two_addresses_is_refused(slug: str, spec: Spec) -> None:
    assert "command" in problem(slug, spec.outside, "curl https://a.example.com https://b.example.com")


@pytest.mark.parametrize(("slug", "spec"), fields("secret"))
def test_an_address_in_the_place_of_a_credential_is_refused(slug: str, spec: Spec) -> None:
    if not str(spec.example).startswith("https://"):
        assert "address" in problem(slug, spec.outside, "https://app.example.com/settings/keys")


@pytest.mark.parametrize(("slug", "spec"), fields("choice"))
def test_a_choice_is_read_in_any_case(slug: str, spec: Spec) -> None:
    assert parsed(slug, **{spec.outside: f" {str(spec.example).upper()} "}) == parsed(slug)
    assert "Choose one of" in problem(slug, spec.outside, "elsewhere")


@pytest.mark.parametrize("slug", destinations.TYPES)
def test_headers_come_as_lines_json_variables_or_a_command(slug: str) -> None:
    expected = parsed(slug, headers={"X-Team": "search", "X-App": "a b"})
    for pasted in (
        {" X-Team:": " search ", "X-App": "X-App: a b"},
        json.dumps({"X-Team": "search", "X-App": "a b"}),
        "X-Team: search\nX-App: a b\n",
        "X-Team=search,X-App=a%20b",
        "curl https://api.example.com -H 'X-Team: search' -H 'Content-Type: text/plain' -H 'X-App: a b'",
    ):
        assert parsed(slug, headers=pasted) == expected, pasted


@pytest.mark.parametrize("slug", destinations.TYPES)
@pytest.mark.parametrize("value", ["a\nb", "a\r\nX-Other: b", "a\rb"])
def test_a_header_with_a_line_break_is_refused_by_name(slug: str, value: str) -> None:
    words = problem(slug, "headers", {"X-Team": value})
    assert "X-Team" in words
    assert "line break" in words


NEIGHBOURS: dict[str, list[tuple[str, str, str]]] = {
    "arize": [
        ("apiKey", "U3BhY2U6MTIzNDphYmNk", "Space ID"),
        ("spaceKey", "TW9kZWw6MTIzOmFiYw==", "project"),
        ("baseUrl", "https://app.arize.com/organizations/x", "https://otlp."),
    ],
    "axiom": [("apiToken", "xapt-01234567-89ab-cdef-0123-456789abcdef", "personal token")],
    "bigquery": [("serviceAccountKey", "AIzaSyExample", "service account")],
    "braintrust": [
        ("apiKey", "sk-proj-abcdef", "OpenAI"),
        ("baseUrl", "https://www.braintrust.dev/app/acme", "page"),
        ("projectId", "my project", "an example"),
    ],
    "cloudwatch": [("accessKeyId", "ASIAIOSFODNN7EXAMPLE", ""), ("region", "eu-central-1a", "an example")],
    "datadog": [("apiKey", "0" * 40, "application key"), ("apiKey", "pub" + "0" * 32, "client token")],
    "dynatrace": [("apiToken", "dt0s16.ABC.DEF", "platform token")],
    "elastic": [
        ("endpoint", "https://a.kb.us-east-1.aws.elastic.cloud/app", "Kibana"),
        ("apiKey", '{"id":"a"}', "encoded"),
    ],
    "google-cloud": [("serviceAccountKey", "AIzaSyExample", "service account")],
    "grafana": [
        ("apiKey", "glsa_abc", "service account"),
        ("baseUrl", "https://me.grafana.net/a/b", "otlp-gateway-"),
        ("instanceId", "glc_abc", "the token"),
    ],
    "honeycomb": [("apiKey", "hcamk_" + "a" * 58, "management key")],
    "langfuse": [
        ("secretKey", "pk-lf-example", "public key"),
        ("publicKey", "sk-lf-example", "secret key"),
        ("baseUrl", "https://langfuse.com/docs", "web site"),
    ],
    "langsmith": [
        ("apiKey", "ls__abc", "no longer"),
        ("endpoint", "https://smith.langchain.com/o/a", "page"),
    ],
    "logfire": [
        ("writeToken", "pylf_v1_eu_abc", "EU"),
        ("baseUrl", "https://logfire.pydantic.dev/acme", "page"),
    ],
    "newrelic": [("licenseKey", "NRAK-ABC", "user key")],
    "opik": [("baseUrl", "https://comet.com/opik", "https://www.comet.com/opik/api")],
    "otel-collector": [("endpoint", "https://a.example:4317", "gRPC")],
    "phoenix": [("baseUrl", "https://app.phoenix.arize.com/login", "Add your space")],
    "posthog": [("apiKey", "phx_abc", "personal")],
    "raindrop": [("baseUrl", "https://app.raindrop.ai/acme", "https://api.raindrop.ai")],
    "ramp": [("baseUrl", "https://app.ramp.com/home", "page")],
    "sentry": [
        ("dsn", "sntrys_abc", "auth token"),
        ("otlpEndpoint", "https://a@o1.ingest.sentry.io/1", "the DSN"),
        ("otlpEndpoint", "https://acme.sentry.io/issues/", "a page of Sentry"),
    ],
    "splunk": [("accessToken", "4a4b33c9-ee04-46cb-bb99-a727b8a786a1", "HTTP Event Collector")],
    "weave": [("apiKey", "sk-abc", "W&B"), ("baseUrl", "https://wandb.ai/acme/p", "https://trace.wandb.ai")],
}


@pytest.mark.parametrize(
    ("slug", "setting", "pasted", "words"),
    [(slug, *case) for slug, cases in NEIGHBOURS.items() for case in cases],
)
def test_the_neighbours_value_is_recognised(slug: str, setting: str, pasted: str, words: str) -> None:
    """A warning where its form alone tells, since forms change; an error where it cannot be meant."""
    told = said_of(slug, {setting: pasted, **({"sessionToken": ""} if slug == "cloudwatch" else {})})
    assert told
    assert words in told


def test_the_types_without_a_neighbour_take_what_is_your_own() -> None:
    assert set(destinations.TYPES) - NEIGHBOURS.keys() == {
        "clickhouse",
        "mlflow",
        "s3",
        "snowflake",
        "webhook",
    }


def said_of(slug: str, changes: dict[str, Any]) -> str:
    """Return what is said of settings, by problems or by warnings."""
    try:
        return " ".join(parsed(slug, **changes).warnings().values())
    except SettingsError as error:
        return " ".join(error.problems.values())


@pytest.mark.parametrize("slug", destinations.TYPES)
def test_no_warning_and_no_problem_repeats_a_secret(slug: str) -> None:
    canary = "CANARY0secret1value2"
    for spec in destinations.TYPES[slug].specs():
        if spec.kind != "secret":
            continue
        for pasted in (canary, f"curl {canary} {canary}", f"{canary}\n{canary}", f"https://x/{canary}"):
            assert canary not in said_of(slug, {spec.outside: pasted})


def test_secrets_stay_secrets_however_they_were_pasted() -> None:
    found = parsed("langfuse", secretKey="Bearer sk-lf-example", headers="X-Team: search")
    assert isinstance(found, destinations.TYPES["langfuse"])
    values = vars(found)
    assert isinstance(values["secret_key"], Secret)
    assert isinstance(values["headers"], SecretHeaders)
