import copy
import json
import pickle
from typing import Any

import pytest

from broadcast.destination import Destination
from broadcast.errors import SettingsError
from broadcast.fields import BULLETS, HttpsUrl, Secret, SecretHeaders, camel, field, is_masked


class Example(Destination):
    """Every kind of setting."""

    base_url: HttpsUrl = field("Base URL", example="https://a.example")
    number: str = field("Number", example="12", pattern=r"\d+")
    api_key: Secret = field("API key", example="key")
    target: str | None = field("Target", outside="endpoint", default=None)
    fast: bool = field("Fast", default=False)
    headers: SecretHeaders = field("Headers", default=SecretHeaders())

    def endpoint(self) -> str:
        return self.base_url


def parse(**changes: Any) -> Example:
    good = {"baseUrl": "https://a.example", "number": "12", "apiKey": "key"}
    return Example.parse({**good, **changes})


def problems(**changes: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        parse(**changes)
    return caught.value.problems


def test_a_secret_prints_as_bullets_everywhere() -> None:
    secret = Secret("glc_supersecretvalue")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!r}",
        repr([secret]),
    ]
    assert all("supersecret" not in text for text in shown)
    assert "supersecret" not in repr(SecretHeaders(a=secret))


def test_a_secret_is_neither_pickled_nor_serialised() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("x"))
    with pytest.raises(TypeError):
        copy.copy(Secret("x"))
    with pytest.raises(TypeError):
        json.dumps(Secret("x"))


@pytest.mark.parametrize(
    ("value", "mask"), [("short", BULLETS), ("x" * 15, BULLETS), ("glc_0123456789ab", "glc_…89ab")]
)
def test_a_mask_shows_ends_only_where_most_stays_hidden(value: str, mask: str) -> None:
    assert Secret(value).masked() == mask
    assert is_masked(mask)


def test_names_become_camel_case_unless_an_outside_name_is_given() -> None:
    assert camel("base_url") == "baseUrl"
    assert [spec.outside for spec in Example.specs()] == [
        "baseUrl",
        "number",
        "apiKey",
        "endpoint",
        "fast",
        "headers",
    ]


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Example.parse({"number": "x", "apiKey": "k\n\n\x00", "other": 1})
    assert caught.value.problems.keys() == {"baseUrl", "number", "apiKey", "other"}


@pytest.mark.parametrize(
    "url",
    [
        "a", "10.0.0.7", "ftp://a.example", "https://", "https://user@a.example",
        "https://a b.example",
        "https://a.example\\x", "https://a.example:0", "https://a.example:99999", "https://[::1", "https://a%2eb.example",
        "https://a.example/ x", 7, "https://" + "a" * 5000,
    ],
)  # fmt: skip
def test_an_address_that_parsers_could_read_differently_is_refused(url: object) -> None:
    assert problems(baseUrl=url).keys() == {"baseUrl"}


def test_only_a_bare_origin_loses_its_trailing_slash() -> None:
    assert parse(baseUrl=" https://a.example/ ").base_url == "https://a.example"
    assert parse(baseUrl="https://a.example/hook/").base_url == "https://a.example/hook/"


@pytest.mark.parametrize("value", ["", None, BULLETS, "glc_…89ab"])
def test_an_empty_or_masked_secret_counts_as_absent(value: object) -> None:
    assert problems(apiKey=value) == {"apiKey": "Enter the API key."}


@pytest.mark.parametrize("value", ["ключ", "a\x00b", "a\nb", 5, ["a"], "x" * 5000])
def test_a_secret_is_printable_ascii(value: object) -> None:
    assert problems(apiKey=value).keys() == {"apiKey"}


@pytest.mark.parametrize(
    "headers",
    [
        ["a"],
        {"a b": "x"},
        {"a:b": "x"},
        {"": "x"},
        {"Host": "x"},
        {"content-length": "1"},
        {"Transfer-Encoding": "chunked"},
        {"Cookie": "x"},
        {"X-Forwarded-Host": "x"},
        {"X-Amz-Security-Token": "x"},
        {"Metadata-Flavor": "Google"},
        {"X-A": "a\r\nb"},
        {"X-A": 5},
        {"X-A": ""},
        {"X" * 65: "x"},
        {f"X-{number}": "x" for number in range(21)},
        {"X-A": "1", "x-a": "2"},
    ],
)
def test_a_header_that_could_split_or_steer_a_request_is_refused(headers: object) -> None:
    assert problems(headers=headers).keys() == {"headers"}


def test_headers_are_secret_and_sent_in_lower_case() -> None:
    made = parse(headers={"X-Team": "search"})
    assert made.extra_headers() == {"x-team": "search"}
    assert json.loads(made.secrets()["headers"]) == {"X-Team": "search"}
    assert made.masks()["headers"] == {"X-Team": BULLETS}


@pytest.mark.parametrize("value", ["true", 1])
def test_a_flag_is_true_or_false(value: object) -> None:
    assert problems(fast=value).keys() == {"fast"}


def test_absent_secrets_may_be_empty_when_only_the_address_matters() -> None:
    made = Example.parse({"baseUrl": "https://a.example", "number": "1"}, secrets_required=False)
    assert made.secrets() == {}
    assert made.address() == ("https://a.example:443/",)
