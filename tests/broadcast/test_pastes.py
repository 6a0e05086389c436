"""What people paste, and the value that can only have been meant."""

from typing import Any

import pytest

from broadcast import pastes
from broadcast.fields import under

CURL = (
    "curl -X POST https://api.example/v1/traces \\\n"
    "  -H 'Content-Type: application/json' -H 'x-api-key: key-1'"
)


@pytest.mark.parametrize(
    "pasted",
    [
        "key-1",
        " key-1 \n",
        "\u200bkey-1\u00a0",
        '"key-1"',
        "'key-1',",
        "`key-1`",
        "“key-1”",
        "VENDOR_API_KEY=key-1",
        'export VENDOR_API_KEY="key-1"',
        "$env:VENDOR_API_KEY = 'key-1'",
        "Bearer key-1",
        "bearer  key-1",
        "Authorization: Bearer key-1",
        "authorization=Bearer%20key-1",
        'OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer key-1"',
        "Authorization: Api-Token key-1",
        "Authorization: ApiKey key-1",
        "x-api-key: key-1",
        "api-key=key-1",
        "Authorization: Basic dXNlcjprZXktMQ==",
        "Authorization=Basic%20dXNlcjprZXktMQ==",
        CURL,
        "curl -u user:key-1 https://api.example",
        "$ curl https://api.example --header 'Authorization: Bearer key-1'",
        # Cut off inside its quotes.
        "curl https://api.example --header Authorization:key-1 -d '{",
    ],
)
def test_a_credential_is_taken_out_of_what_it_was_copied_with(pasted: str) -> None:
    assert pastes.secret(pasted) == "key-1"


@pytest.mark.parametrize(
    "secret",
    [
        "QUJDREVG==", "AB=cd", "ABC_D=", "a:b", "token:abc", "token=abc", "pass word", "basic instinct",
        "x" * 5000, "basic cGFzcw==", "Basic dXNlcg==", "Basic dXNlcjo=", "a'b", "'", "curl", "-key: x",
        "curl https://api.example -H 'x-api-key: a' -H 'x-app-key: b'",
    ],
)  # fmt: skip
def test_what_may_be_the_credential_itself_is_left_alone(secret: str) -> None:
    assert pastes.secret(secret) == secret


@pytest.mark.parametrize("pasted", ["basic dXNlcjp0b2tlbiBhYmM=", "X-Api-Key: x-api-key: abc"])
def test_what_is_wrapped_twice_is_unwrapped_at_once(pasted: str) -> None:
    assert pastes.secret(pasted) == "abc"


@pytest.mark.parametrize("pasted", [{"X-A": "X-A: X-A: 2"}, {"X-A": "'X-A: x-a: 2'"}, {"X-A: :": "2"}])
def test_a_header_is_the_same_when_it_is_read_again(pasted: dict[str, str]) -> None:
    assert pastes.headers(pasted) == {"X-A": "2"}


@pytest.mark.parametrize(
    "pasted",
    [
        "https://api.example/v1/traces",
        "api.example/v1/traces",
        "https://api.example/v1/traces#/settings",
        " <https://api.example/v1/traces> ",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://api.example/v1/traces",
        CURL,
        "curl 'https://api.example/v1/traces'",
    ],
)
def test_an_address_is_taken_out_too(pasted: str) -> None:
    assert pastes.address(pasted) == "https://api.example/v1/traces"


@pytest.mark.parametrize(
    "pasted",
    [
        "localhost",
        "localhost:4318",
        "10.0.0.7",
        "api.example:4318",
        "curl https://a.example https://b.example",
    ],
)
def test_an_address_that_could_be_two_is_left_alone(pasted: str) -> None:
    assert pastes.address(pasted) == pasted


@pytest.mark.parametrize(
    "pasted",
    [
        {"X-Api-Key": "key-1", "X-Team": "a"},
        {" X-Api-Key: ": '"key-1"', "X-Team": "X-Team: a"},
        '{"X-Api-Key": "key-1", "X-Team": "a"}',
        "X-Api-Key: key-1\nX-Team: a\n",
        "X-Api-Key=key-1,X-Team=a",
        'OTEL_EXPORTER_OTLP_HEADERS="X-Api-Key=key%2D1,X-Team=a"',
        "curl https://a.example -H 'Accept: */*' -H 'X-Api-Key: key-1' --header 'X-Team: a'",
    ],
)
def test_headers_come_in_many_forms(pasted: Any) -> None:
    assert pastes.headers(pasted) == {"X-Api-Key": "key-1", "X-Team": "a"}


@pytest.mark.parametrize("pasted", ["{", "nothing", 5, ["a"], "X-Team=a,b"])
def test_what_is_no_headers_is_left_alone(pasted: Any) -> None:
    assert pastes.headers(pasted) == pasted


@pytest.mark.parametrize("values", [{5: "a"}, {"X-A": 5}])
def test_headers_that_are_no_text_are_left_to_the_check(values: Any) -> None:
    assert pastes.headers(values) == values


@pytest.mark.parametrize(
    "pasted", ["", "/", "/otel", "/otel/", "/otel/v1", "/otel/v1/traces", "/otel/v1/traces/", "/v1/traces"]
)
def test_a_path_is_not_doubled(pasted: str) -> None:
    assert under("https://api.example" + pasted, "/otel/v1/traces") == "https://api.example/otel/v1/traces"


@pytest.mark.parametrize(
    "base", ["https://api.example/tenant", "https://api.example/hotel", "https://otel.example"]
)
def test_another_path_stays(base: str) -> None:
    assert under(base, "/otel/v1/traces") == f"{base}/otel/v1/traces"
