"""A reload: what was declared is brought up to date, and a web process reads its upstreams again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast import config, reloading, runtime
from broadcast.config import Config
from broadcast.doctor import examine
from broadcast.errors import ConfigError
from broadcast.reloading import Watch
from broadcast.runtime import Services
from broadcast.store import operator_exports
from destinations import TYPES

UPSTREAMS = """
providers: {local: {base_url: "http://127.0.0.1:9/v1"}}
models: {%s: {providers: [{provider: local}]}}
"""


@pytest.fixture
def upstreams(tmp_path: Path) -> Path:
    path = tmp_path / "upstreams.yaml"
    path.write_text(UPSTREAMS % "local/first")
    return path


def loaded(upstreams: Path, **more: str) -> Config:
    given = {
        "BROADCAST_DATA_DIR": str(upstreams.parent / "data"),
        "BROADCAST_UPSTREAMS": str(upstreams),
        "BROADCAST_EGRESS_ALLOW": "127.0.0.1",
    }
    return config.load(given | more)


@pytest.fixture
def services(upstreams: Path) -> Iterator[Services]:
    built = runtime.build(loaded(upstreams), TYPES)
    built.store.migrate()
    owner = built.accounts.create_user(email="ann@example.com", password="long enough", now_us=built.clock())
    built.accounts.create_workspace(name="Team", owner=owner, now_us=built.clock())
    yield built
    built.store.close()


def models(services: Services) -> list[str]:
    return [model["id"] for model in services.gateway.models()["data"]]


def test_a_web_process_reads_its_upstreams_again_once_for_each_reload(
    services: Services, upstreams: Path
) -> None:
    watch = Watch(services, lambda: loaded(upstreams))
    assert watch.look()
    upstreams.write_text(UPSTREAMS % "local/second")
    assert not watch.look()
    assert models(services) == ["local/first"]
    reloading.reload(services)
    assert watch.look()
    assert models(services) == ["local/second"]
    assert not watch.look()


def test_what_is_wrong_in_the_file_leaves_the_upstreams_as_they_are(
    services: Services, upstreams: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(services, lambda: loaded(upstreams))
    upstreams.write_text("models: [")
    reloading.reload(services)
    assert not watch.look()
    assert models(services) == ["local/first"]
    assert "BROADCAST_UPSTREAMS: the file is not valid YAML" in caplog.text


def test_a_start_declares_what_the_variables_say(upstreams: Path, services: Services) -> None:
    given = loaded(upstreams, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    declaring = runtime.build(given, TYPES)
    assert reloading.begin(declaring) == 1
    assert reloading.begin(services) == 0
    declaring.store.close()


def test_the_doctor_says_whether_what_is_declared_is_what_is_meant(
    upstreams: Path, services: Services
) -> None:
    given = loaded(upstreams, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert of_doctor(services.config) == (True, "None is declared.")
    ok, message = of_doctor(given)
    assert (ok, "something else" in message) == (False, True)
    declaring = runtime.build(given, TYPES)
    reloading.begin(declaring)
    declaring.store.close()
    assert of_doctor(given)[0]
    assert not of_doctor(services.config)[0]


def of_doctor(given: Config) -> tuple[bool, str]:
    (found,) = [each for each in examine(given, TYPES) if each.subject == "operator's export"]
    return found.ok, found.message


def test_a_start_stops_at_what_is_wrong_and_changes_nothing(upstreams: Path, services: Services) -> None:
    wrong = runtime.build(loaded(upstreams, OTEL_EXPORTER_OTLP_ENDPOINT="http://10.1.2.3:4318"), TYPES)
    with pytest.raises(ConfigError, match=r"BROADCAST_EGRESS_ALLOW=10\.1\.2\.3:4318"):
        reloading.begin(wrong)
    with services.store.read() as conn:
        assert operator_exports.get(conn).settings is None
    wrong.store.close()
