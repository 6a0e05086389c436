import json
from collections.abc import Mapping
from typing import ClassVar

import pytest

from broadcast.destination import Batch, Destination, Response, basic_auth, envelope, normalised
from broadcast.errors import SettingsError
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field


class Example(Destination):
    """A destination with one of everything."""

    base_url: HttpsUrl = field("Base URL", example="https://a.example")
    api_key: Secret = field("API key", example="key")
    region: str | None = field("Region", default=None)
    headers: SecretHeaders = field("Headers", default=SecretHeaders())

    def endpoint(self) -> str:
        return f"{self.base_url}/v1/traces"

    def auth(self) -> Mapping[str, str]:
        return basic_auth("123", self.api_key)


UNTOLD = (302, 400, 404, 408, 500, 502, 503)
"""Answers that do not say whether a credential is good."""


def example(**changes: object) -> Example:
    return Example.parse({"baseUrl": "https://a.example", "apiKey": "supersecretvalue", **changes})


@pytest.mark.parametrize(
    "url",
    ["https://A.example/v1/", "https://a.example./v1/", "https://a.example:443/v1/", "HTTPS://a.example/v1/"],
)
def test_addresses_that_dial_the_same_are_equal(url: str) -> None:
    assert normalised(url) == "https://a.example:443/v1/"


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/v1/",
        "https://a.example:4318/v1/",
        "https://a.example/v1",
        "https://a.example/v1/?a=b",
        "https://b.example/v1/",
    ],
)
def test_addresses_that_dial_something_else_differ(url: str) -> None:
    assert normalised(url) != "https://a.example:443/v1/"


def test_an_ipv6_address_keeps_its_brackets() -> None:
    assert normalised("https://[2001:DB8::1]/x") == "https://[2001:db8::1]:443/x"


def test_a_batch_is_one_export_request() -> None:
    assert envelope("json", (b'{"a":1}', b'{"b":2}')) == b'{"resourceSpans":[{"a":1},{"b":2}]}'
    assert envelope("protobuf", (b"\n\x00", b"\n\x00")) == b"\n\x00\n\x00"
    assert envelope("json", ()) == b'{"resourceSpans":[]}'


def test_a_request_carries_the_type_the_credential_and_the_users_headers() -> None:
    made = example(headers={"X-Team": "search"}).request(Batch(id="b", at_us=1, pieces=(b"{}",)))
    assert made.url == "https://a.example/v1/traces"
    assert made.headers == {
        "content-type": "application/json",
        "authorization": "Basic MTIzOnN1cGVyc2VjcmV0dmFsdWU=",
        "x-team": "search",
    }


def test_settings_go_apart_and_come_together_again() -> None:
    made = example(region="eu", headers={"X-Team": "search"})
    assert made.plain() == {"baseUrl": "https://a.example", "region": "eu"}
    secrets = made.secrets()
    secrets["headers"] = json.loads(secrets["headers"])
    assert Example.parse({**made.plain(), **secrets}) == made


def test_masks_show_no_more_than_ends() -> None:
    assert example().masks() == {"apiKey": "supe…alue"}


def test_every_form_of_a_secret_is_known_for_scrubbing() -> None:
    values = example(headers={"X-Token": "Bearer abc"}).secret_values()
    assert {"supersecretvalue", "MTIzOnN1cGVyc2VjcmV0dmFsdWU=", "Bearer abc", "abc"} <= set(values)
    assert [len(value) for value in values] == sorted((len(value) for value in values), reverse=True)


def test_a_setting_may_not_hide_a_method_of_the_port() -> None:
    with pytest.raises(TypeError, match="hides a method"):

        class Wrong(Destination):
            """A setting named like a method."""

            endpoint: str = field("Endpoint")  # type: ignore[assignment]


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        example(colour="red")
    assert caught.value.problems == {"colour": "Unknown setting."}


def checked(status: int, body: bytes = b"", content_type: str = "application/json") -> str | None:
    """Return what the answer to a check of its own says of a credential."""
    answer = Response(
        status=status, reason="", headers={"content-type": content_type}, body=body,
        duration_ms=1.0, sent_bytes=0, host="a.example",
    )  # fmt: skip
    return Hinting.parse({"baseUrl": "https://a.example", "apiKey": "key"}).judge_credential(answer)


class Hinting(Example):
    """A destination that says what some answers mean."""

    title = "Hinting"
    hints: ClassVar[Mapping[int, str]] = {403: "Use a project's key.", 429: "The limit is reached."}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, None),
        (204, None),
        (401, "The credential was refused."),
        (403, "Use a project's key."),
        (429, "The limit is reached."),
        *((status, f"Hinting answered {status} when asked about the credential.") for status in UNTOLD),
    ],
)
def test_only_who_refuses_a_credential_is_said_to(status: int, words: str | None) -> None:
    assert checked(status) == words


def test_a_page_for_people_accepts_no_credential() -> None:
    assert checked(200, b"<html>", "text/html") == "A web page answered: check the address."
