"""The file of a workspace's settings: what is written reads back to the same, and no secret stands in it."""

from typing import Any

import pytest

from broadcast import draft, settings_file
from broadcast.errors import NotApplied
from broadcast.fields import Secret
from destinations import TYPES

MASK = Secret("a-secret-of-20-chars").masked()
FILE = """
broadcast: {enabled: true}
destinations:
- name: Collector
  type: otel-collector
  config: {endpoint: "https://collector.example", headers: {x-token: "Bearer ${TOKEN}"}}
"""


def view(name: str = "Collector", **more: Any) -> dict[str, Any]:
    """Return a destination as the API shows it."""
    defaults = {
        field: list(value) if isinstance(value, tuple) else value for field, value in draft.DEFAULTS.items()
    }
    shown = {"endpoint": "https://collector.example", "headers": {"x-token": MASK}}
    return {"name": name, "type": "otel-collector", "config": shown, "origin": "user", **defaults, **more}


def read(text: str, **variables: str) -> dict[str, Any]:
    return settings_file.read(text, variables, TYPES)


def problems(text: str, **variables: str) -> list[tuple[str, str | None]]:
    with pytest.raises(NotApplied) as caught:
        read(text, **variables)
    return [(problem["destination"], problem["field"]) for problem in caught.value.problems]


def test_a_written_file_reads_back_with_its_secrets_filled_in() -> None:
    text = settings_file.written([view()], enabled=True)

    assert read(text, COLLECTOR_HEADERS_X_TOKEN="s3cr3t") == {
        "broadcast": {"enabled": True},
        "destinations": [
            {
                "name": "Collector",
                "type": "otel-collector",
                "config": {"endpoint": "https://collector.example", "headers": {"x-token": "s3cr3t"}},
            }
        ],
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enabled", False),
        ("privacy_level", "metadata"),
        ("sampling_rate", 0.25),
        ("api_key_hashes", ["a" * 64]),
        ("excluded_api_key_hashes", ["1" * 64]),
        ("regions", ["us", "europe"]),
        ("broadcast_generation_cost", True),
        ("filter_rules", {"enabled": True, "groups": [{"rules": [{"value": "yes ${x} 2026-01-01"}]}]}),
    ],
)
def test_each_setting_that_differs_from_a_new_one_is_written_exactly(field: str, value: Any) -> None:
    text = settings_file.written([view(**{field: value})], enabled=False)

    (found,) = read(text, COLLECTOR_HEADERS_X_TOKEN="s")["destinations"]
    assert {name: found[name] for name in found.keys() - {"name", "type", "config"}} == {field: value}


@pytest.mark.parametrize(
    "name", ["a: b", "- x", "yes", "12", "${HOME}", "$${x}", "$$$", "'\"", "naïve 日本", "#1", "x " * 60]
)
def test_a_name_of_any_characters_is_written_exactly(name: str) -> None:
    shown = view(name) | {"config": {"endpoint": name}}

    (found,) = read(settings_file.written([shown], enabled=True))["destinations"]

    assert (found["name"], found["config"]["endpoint"]) == (name, name)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("Collector", "COLLECTOR_HEADERS_X_TOKEN"),
        ("2 of us", "SECRET_2_OF_US_HEADERS_X_TOKEN"),
        ("Broadcast", "SECRET_BROADCAST_HEADERS_X_TOKEN"),
        ("日本", "HEADERS_X_TOKEN"),
        ("a-b", "A_B_HEADERS_X_TOKEN"),
    ],
)
def test_a_secret_is_a_variable_that_can_be_set(name: str, variable: str) -> None:
    assert f"${{{variable}}}" in settings_file.written([view(name)], enabled=True)


def test_each_secret_has_a_variable_of_its_own() -> None:
    text = settings_file.written([view("a b"), view("a-b")], enabled=True)

    assert "${A_B_HEADERS_X_TOKEN}" in text
    assert "${A_B_HEADERS_X_TOKEN_2}" in text
    assert MASK not in text


def test_the_operators_destination_is_not_written() -> None:
    assert "Collector" not in settings_file.written([view(origin="operator")], enabled=True)


def test_variables_stand_inside_texts_and_a_doubled_dollar_stands_for_itself() -> None:
    (found,) = read(FILE.replace("Collector", "$${TOKEN} of ${TOKEN}"), TOKEN="t")["destinations"]

    assert found["name"] == "${TOKEN} of t"
    assert found["config"]["headers"] == {"x-token": "Bearer t"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("destinations: [", ("the file", None)),
        ("[]", ("the file", None)),
        ("", ("the file", None)),
        ("just a text", ("the file", None)),
        ("!!python/object:os.system {}", ("the file", None)),
        ("a: 1\na: 2\ndestinations: []", ("the file", None)),
        ("? [a]\n: 1", ("the file", None)),
        ("{}", ("the file", "destinations")),
        ("destinations: {}", ("the file", "destinations")),
        ("destinations: []\nprune: true", ("the file", "prune")),
        ("destinations: [Collector]", ("destination 1", None)),
        (FILE.replace("Collector", "2026-01-01"), ("destination 1", "name")),
        (FILE.replace("${TOKEN}", "plain"), ("Collector", "config.headers.x-token")),
        (FILE.replace("${TOKEN}", "$${TOKEN}"), ("Collector", "config.headers.x-token")),
        (FILE.replace("${TOKEN}", "${not a name}"), ("Collector", "config.headers.x-token")),
        (FILE.replace("${TOKEN}", "${UNSET}"), ("Collector", "config.headers.x-token")),
        (FILE.replace("${TOKEN}", "${EMPTY}"), ("Collector", "config.headers.x-token")),
        (FILE.replace("https:", "${UNSET}https:"), ("Collector", "config.endpoint")),
        (FILE.replace("x-token: ", "on: "), ("Collector", "config.headers.True")),
        (FILE.replace("x-token: ", "1: "), ("Collector", "config.headers.1")),
        (FILE.replace("config:", "no: 1\n  config:"), ("Collector", "False")),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, place: tuple[str, str | None]) -> None:
    assert problems(text, TOKEN="t", EMPTY="") == [place]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = FILE.replace("${TOKEN}", "${A} ${B}") + FILE[FILE.index("- name") :].replace("${TOKEN}", "bare")

    assert problems(text) == [
        ("Collector", "config.headers.x-token"),
        ("Collector", "config.headers.x-token"),
        ("Collector", "config.headers.x-token"),
    ]


def test_a_bare_secret_under_a_name_that_is_no_text_is_told_with_both_faults() -> None:
    text = FILE.replace('x-token: "Bearer ${TOKEN}"', "on: bare")

    with pytest.raises(NotApplied) as caught:
        read(text)

    assert [problem["field"] for problem in caught.value.problems] == ["config.headers.True"] * 2
    assert "between quotes" in caught.value.problems[1]["message"]


def test_no_complaint_repeats_a_secret() -> None:
    with pytest.raises(NotApplied) as caught:
        read(FILE.replace("${TOKEN}", "s3cr3t"), TOKEN="t")

    assert "s3cr3t" not in f"{caught.value!r} {caught.value.problems}"
