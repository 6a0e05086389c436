"""`broadcast export` and `broadcast apply`: planned, tested, and saved as a whole or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broadcast import accounts, draft
from tests.broadcast.cli_shell import Shell, local, remote, shell

__all__ = ("local", "remote", "shell")

TOKEN = "s3cr3t-of-the-test"
VARIABLE = "COLLECTOR_HEADERS_X_TOKEN"

EVERY_SETTING = {
    "enabled": False,
    "privacy_level": "redacted",
    "sampling_rate": 0.5,
    "api_key_hashes": ["1" * 64],
    "excluded_api_key_hashes": ["2" * 64],
    "filter_rules": {"groups": [{"rules": [{"field": "model", "operator": "equals", "value": "${x}"}]}]},
    "regions": ["us", "europe"],
    "sampler": "traceidratio",
    "resource_attributes": {"team": "${not} a variable"},
    "redaction_patterns": [r"case-\d+", "2026-01-01"],
    **{name: True for name in draft.DEFAULTS if name.startswith("broadcast_generation_")},
}
"""One of each, other than what a new destination has."""


class File:
    """A file of settings that is exported, edited and applied."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell = shell
        self.path = folder / "destinations.yaml"

    def export(self) -> str:
        result = self.shell.run("export")
        assert result.exit_code == 0, result.output
        self.path.write_text(result.stdout)
        return result.stdout

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def apply(self, *words: str, **variables: str) -> Any:
        given = {VARIABLE: TOKEN, **variables}
        return self.shell.run("apply", str(self.path), "--yes", *words, **given)

    def state(self) -> Any:
        """Return all that `apply` may change."""
        found = self.shell.api("GET", "/observability/destinations")["data"]
        return self.shell.api("GET", "/broadcast"), found


@pytest.fixture
def file(shell: Shell, tmp_path: Path) -> File:
    shell.api("PATCH", "/broadcast", {"enabled": True})
    shell.connect()
    return File(shell, tmp_path)


# -- there and back ----------------------------------------------------------------------------------


def test_what_was_exported_and_is_applied_changes_nothing_and_tests_nothing(file: File) -> None:
    assert EVERY_SETTING.keys() == draft.DEFAULTS.keys()
    file.shell.connect("Second", **EVERY_SETTING)
    before = file.state()
    text = file.export()
    file.shell.receiver.clear()

    result = file.apply(SECOND_HEADERS_X_TOKEN=TOKEN)

    assert (result.exit_code, result.stdout) == (0, "Nothing to change.\n")
    assert file.state() == before
    assert (file.shell.receiver.requests, TOKEN in text) == ([], False)


def test_a_file_makes_the_same_of_another_workspace(local: Shell, tmp_path: Path) -> None:
    local.connect("Collector", sampling_rate=0.5)
    file = File(local, tmp_path)
    text = file.export()
    local.make_workspace("Other")

    applied = file.apply("--workspace", "other")
    again = local.run("export", "--workspace", "other").stdout

    assert applied.exit_code == 0, applied.output
    assert again == text


# -- what changes ------------------------------------------------------------------------------------


def test_an_added_destination_is_planned_tested_and_saved(file: File) -> None:
    file.export()
    file.path.write_text(
        file.path.read_text()
        + f"- {{name: New, type: otel-collector, config: {{endpoint: '{file.shell.receiver.url('/ok')}'}}}}\n"
    )
    file.shell.receiver.clear()

    result = file.apply()

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "+ New (otel-collector)",
        "1 to add, 0 to change, 0 to remove, 1 unchanged.",
        "Every test passed. Saved.",
    ]
    assert [item["name"] for item in file.state()[1]] == ["Collector", "New"]
    assert [span.name for span in file.shell.receiver.spans()] == ["broadcast-connection-test"]


def test_a_changed_secret_is_seen_masked_and_tested(file: File) -> None:
    file.export()
    file.shell.receiver.clear()
    # The first and the last four characters, which a mask shows, are those of the old one.
    new = TOKEN[:4] + "-other-middle-" + TOKEN[-4:]

    result = file.apply(**{VARIABLE: new})

    assert result.exit_code == 0, result.output
    assert "~ Collector (otel-collector)" in result.stdout
    assert "config.headers: {'x-token': 's3cr…test'} -> {'x-token': 's3cr…test'}" in result.stdout
    assert (new in result.output, len(file.shell.receiver.requests)) == (False, 1)
    assert file.shell.receiver.requests[0].headers["x-token"] == new
    assert file.apply(**{VARIABLE: new}).stdout == "Nothing to change.\n"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("  type: otel", "  sampling_rate: 0.5\n  type: otel", "sampling_rate: 1.0 -> 0.5"),
        ("  type: otel", "  privacy_level: metadata\n  type: otel", "privacy_level: full -> metadata"),
        ("  type: otel", "  privacy_mode: true\n  type: otel", "privacy_level: full -> metadata"),
        ("  type: otel", "  enabled: false\n  type: otel", "enabled: True -> False"),
        ("name: Collector", "name: COLLECTOR", "name: Collector -> COLLECTOR"),
        ("/ok", "/ok/more", "config.endpoint"),
        ("encoding: json", "encoding: protobuf", "config.encoding: json -> protobuf"),
        ("      x-token", "      x-other: ${OTHER}\n      x-token", "config.headers"),
    ],
)
def test_each_changed_setting_is_planned_and_saved(file: File, old: str, new: str, field: str) -> None:
    file.export()
    file.edit(old, new)

    result = file.apply(OTHER="another value")

    assert result.exit_code == 0, result.output
    assert f"    {field}" in result.stdout
    assert file.apply(OTHER="another value").stdout == "Nothing to change.\n"


def test_what_a_file_does_not_name_is_left_alone_unless_it_prunes(file: File) -> None:
    file.path.write_text("destinations: []\n")

    left = file.apply()
    pruned = file.apply("--prune")

    assert "Left alone" in left.stdout
    assert pruned.stdout.splitlines()[0] == "- Collector (otel-collector)"
    assert file.state()[1] == []


def test_the_switch_is_turned_and_left_alone_where_it_is_not_said(file: File) -> None:
    file.export()
    file.edit("enabled: true", "enabled: false")

    turned = file.apply()
    file.edit("broadcast:\n  enabled: false\n", "")

    assert "~ Broadcast is switched off" in turned.stdout
    assert file.apply().stdout == "Nothing to change.\n"
    assert file.state()[0] == {"data": {"enabled": False}}


def test_a_plan_is_shown_first_and_nothing_is_done_without_a_yes(file: File) -> None:
    file.export()
    file.edit("/ok", "/ok/more")
    before = file.state()
    file.shell.receiver.clear()
    words = ("apply", str(file.path))

    refused = file.shell.run(*words, answer="n\n", **{VARIABLE: TOKEN})
    dry = file.apply("--dry-run")
    planned = file.shell.said(*words, "--dry-run", **{VARIABLE: TOKEN})["data"]

    assert (refused.exit_code, "0 to add, 1 to change" in refused.stdout) == (1, True)
    assert (dry.exit_code, "0 to add, 1 to change" in dry.stdout) == (0, True)
    assert (planned["applied"], planned["changes"][0]["action"]) == (False, "change")
    assert (file.state(), file.shell.receiver.requests) == (before, [])


def test_json_is_the_object_of_the_api_alone(file: File) -> None:
    file.export()
    file.edit("/ok", "/ok/more")

    done = file.shell.said("apply", str(file.path), "--yes", **{VARIABLE: TOKEN})

    (change,) = done["data"]["changes"]
    assert (done["data"]["applied"], change["tested"], change["name"]) == (True, True, "Collector")


# -- nothing is changed ------------------------------------------------------------------------------

GOOD = "- {{name: Good, type: otel-collector, config: {{endpoint: '{url}'}}}}\n"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("A {endpoint: '${NOT_SET}'}", "A.config.endpoint: The variable NOT_SET is not set"),
        (
            "name: A, type: honeycomb, config: {apiKey: hcaik_x}",
            "A.config.apiKey: A secret does not belong in this file",
        ),
        ("A {endpoint: 'URL/status/401'}", "A: The test failed at credential"),
        ("A {endpoint: 'URL/status/404'}", "A: The test failed at data"),
        ("A {endpoint: 'http://127.0.0.1:1'}", "A: The test failed at connect"),
        ("A {endpoint: 'http://10.0.0.1:4318'}", "A: The test failed at address"),
        ("A {endpoint: 'nothing like it'}", "A.config.endpoint:"),
        ("A {}", "A.config.endpoint:"),
        ("A {endpoint: 'URL', port: 1}", "A.config.port: Unknown setting."),
        ("A [1]", "A.config:"),
        ("name: A, type: no-such-type, config: {}", "A.type: Choose one of"),
        ("name: A, config: {}", "A.type: Choose one of"),
        ("type: otel-collector, config: {endpoint: 'URL'}", "destination 3.name:"),
        ("A {endpoint: 'URL'}, colour: red", "A.colour: Unknown field."),
        ("A {endpoint: 'URL'}, workspace_id: x", "A.workspace_id:"),
        ("A {endpoint: 'URL'}, sampling_rate: 2", "A.sampling_rate:"),
        ("A {endpoint: 'URL'}, regions: [mars]", "A.regions:"),
        (
            "name: good, type: otel-collector, config: {endpoint: 'URL'}",
            "good.name: These settings name it twice",
        ),
        (
            "name: collector, type: webhook, config: {url: 'URL'}",
            "collector.name: These settings name it twice",
        ),
    ],
    ids=str,
)
def test_one_wrong_destination_keeps_all_from_being_saved(file: File, more: str, told: str) -> None:
    url = file.shell.receiver.url("")
    more = more.replace("A ", "name: A, type: otel-collector, config: ", 1) if more.startswith("A ") else more
    text = file.export() + GOOD.format(url=f"{url}/ok") + f"- {{{more}}}\n".replace("URL", url)
    file.path.write_text(text.replace("enabled: true", "enabled: false"))
    before = file.state()

    result = file.apply()

    assert result.exit_code == 1
    assert told in result.stderr
    assert result.stderr.splitlines()[-1] == "Error: Nothing was changed."
    assert file.state() == before


def test_every_failing_test_is_told(file: File) -> None:
    url = file.shell.receiver.url("")
    failing = [
        f"- {{name: {name}, type: otel-collector, config: {{endpoint: '{url}/status/401'}}}}\n"
        for name in ("A", "B")
    ]
    file.path.write_text(file.export() + "".join(failing))

    told = file.apply().stderr

    assert [line[:28] for line in told.splitlines() if line.startswith(("A", "B"))] == [
        "A: The test failed at creden",
        "B: The test failed at creden",
    ]


def test_a_type_does_not_change(file: File) -> None:
    file.export()
    file.edit("type: otel-collector", "type: phoenix")

    assert "Collector.type: This is of type otel-collector, which cannot change" in file.apply().stderr


def test_a_sixth_destination_of_a_type_is_refused_before_any_test(file: File) -> None:
    url = file.shell.receiver.url("/ok")
    file.path.write_text(
        file.export() + "".join(GOOD.replace("Good", f"Good {n}").format(url=url) for n in range(5))
    )
    file.shell.receiver.clear()

    result = file.apply()

    assert "otel-collector.type: A workspace has at most 5 destinations of a type." in result.stderr
    assert (file.shell.receiver.requests, len(file.state()[1])) == ([], 1)


def test_more_destinations_than_tests_a_minute_are_applied_at_once(
    remote: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_TESTS", replace(accounts._TESTS, uses=1))
    url = remote.receiver.url("/ok")
    listed = "".join(GOOD.replace("Good", f"Good {number}").format(url=url) for number in range(3))
    (tmp_path / "settings.yaml").write_text(f"destinations:\n{listed}")

    result = remote.run("apply", str(tmp_path / "settings.yaml"), "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "Every test passed. Saved."


@pytest.mark.parametrize(
    ("content", "code"), [(b"\xff\xfe", 1), (b"destinations: [", 1), (b"", 1), (None, 2)], ids=str
)
def test_a_file_that_cannot_be_read_is_said(
    local: Shell, tmp_path: Path, content: bytes | None, code: int
) -> None:
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_bytes(content)

    result = local.run("apply", str(path), "--yes")

    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr


def test_a_file_may_come_from_the_standard_input(local: Shell) -> None:
    result = local.run("apply", "-", "--yes", answer="destinations: []\n")

    assert (result.exit_code, result.stdout) == (0, "Nothing to change.\n")


def test_a_file_from_the_standard_input_cannot_be_asked_about(local: Shell) -> None:
    wrong = local.run("apply", "-", answer="destinations: []\n")
    shown = local.run("apply", "-", "--dry-run", answer="destinations: []\n")

    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "add --yes or --dry-run" in wrong.stderr
    assert (shown.exit_code, shown.stdout) == (0, "Nothing to change.\n")
