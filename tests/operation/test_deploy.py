"""What `deploy/` and the Dockerfile say is true of the program: names, commands, metrics, limits."""

import base64
import re
import secrets
import tomllib
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml

from broadcast import config, scrape, worker
from broadcast.cli import main
from broadcast.destination import Verdict
from broadcast.fates import Fate
from broadcast.gateway import PATHS
from broadcast.ledger import StateWord
from broadcast.meters import CLASSES, RESULTS, Meters
from broadcast.store import Store
from web.api.description import OPERATIONS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VALUES = {
    "state": set(get_args(StateWord)),
    "verdict": {verdict.value for verdict in Verdict},
    "fate": {fate.value for fate in Fate},
    "result": set(RESULTS),
    "status_class": set(CLASSES),
}
ALERTS = [pytest.param(rule, id=rule["alert"]) for group in RULES["groups"] for rule in group["rules"]]


def is_command(*words: str) -> bool:
    command: click.Command | None = main
    for word in words:
        command = command.commands.get(word) if isinstance(command, click.Group) else None
    return command is not None


def is_setting(name: str) -> bool:
    return name.removesuffix("_FILE") in config._NAMES


def test_every_setting_that_a_file_names_is_one() -> None:
    files = [path for path in [ROOT / "Dockerfile", *DEPLOY.rglob("*")] if path.is_file()]
    named = {name for path in files for name in re.findall(r"\bBROADCAST_[A-Z_]+\b", path.read_text())}
    assert len(named) > 8
    assert {name for name in named if not is_setting(name)} == set()


# -- alert rules -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the name of every sample that is exported, with its labels, read from a real exposition."""
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('rules') / 'broadcast.db'}")
    store.migrate()
    exposed = scrape.text(store, Meters()).decode()
    store.close()
    found: dict[str, set[str]] = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", exposed, re.MULTILINE):
        ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {f"{name}{end}": set() for end in ends}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", exposed, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    by_place = {"state", "type"}
    for name in ("broadcast_destinations", "broadcast_backlog_receipts", "broadcast_lag_seconds"):
        found[name] |= by_place
    return found


def test_the_page_on_operation_names_every_metric_and_no_other(metrics: dict[str, set[str]]) -> None:
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(broadcast_[a-z_]+)`", page)) - {"broadcast_restored"}
    exported = {name for name in metrics if not name.endswith(("_bucket", "_sum", "_count", "_created"))}
    assert named - {"broadcast_ingest_seconds"} == exported


@pytest.mark.parametrize("rule", ALERTS)
def test_a_rule_uses_only_what_is_exported(rule: dict[str, Any], metrics: dict[str, set[str]]) -> None:
    used = re.findall(r"\b(broadcast_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert used
    for name, matchers in used:
        assert name in metrics, name
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert label in metrics[name], f"{name} has no label {label}"
            assert set(values.split("|")) <= VALUES[label], values


@pytest.mark.parametrize("rule", ALERTS)
def test_a_rule_is_well_formed_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Broadcast[A-Z]\w+", rule["alert"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "do"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    for opening, closing in ("()", "[]", "{}"):
        assert rule["expr"].count(opening) == rule["expr"].count(closing)
    words = " ".join(rule["annotations"].values())
    shown = set(re.findall(r"\$labels\.(\w+)", words))
    kept = {label.strip() for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in by.split(",")}
    assert shown <= kept


@pytest.mark.parametrize("rule", ALERTS)
def test_what_a_rule_tells_people_to_run_exists(rule: dict[str, Any]) -> None:
    for words in re.findall(r"\bbroadcast ([a-z]+)\b", rule["annotations"]["do"]):
        assert is_command(words), words


def test_every_counter_of_the_whole_is_asked_with_max_and_every_own_one_with_sum() -> None:
    own = ("broadcast_receipts_total", "broadcast_ingest_", "broadcast_gateway_")
    for group in RULES["groups"]:
        for rule in group["rules"]:
            used = set(re.findall(r"broadcast_\w+", rule["expr"]))
            if any(name.startswith(own) for name in used):
                assert "sum" in rule["expr"], rule["alert"]
            else:
                assert re.search(r"\b(max|min|absent)\b", rule["expr"]), rule["alert"]


# -- systemd ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_that_exists_and_waits_for_its_end(unit: Path) -> None:
    said = re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE)
    commands = [value.split() for name, value in said if name.startswith("ExecStart")]
    assert commands
    for command, *words in commands:
        assert command == "/opt/broadcast/bin/broadcast"
        assert is_command(*words), words
    told = dict(said)
    assert int(told["TimeoutStopSec"]) > worker.STOP_S
    assert told["Restart"] == "always"
    assert told["EnvironmentFile"] == "/etc/broadcast/environment"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_reloaded_as_the_page_on_the_operators_export_promises(unit: Path) -> None:
    assert "`kill -HUP`, `systemctl reload`" in (ROOT / "docs" / "operator-export.md").read_text()
    assert "ExecReload=/bin/kill -HUP $MAINPID" in unit.read_text().splitlines()


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_may_do_nothing_but_its_work(unit: Path) -> None:
    lines = set(unit.read_text().splitlines())
    assert {
        "User=broadcast",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "CapabilityBoundingSet=",
        "SystemCallFilter=@system-service",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "UMask=0077",
    } <= lines


def test_there_is_a_unit_for_each_process() -> None:
    assert [unit.stem for unit in UNITS] == ["broadcast-web", "broadcast-worker"]


def test_the_example_of_an_environment_loads(tmp_path: Path) -> None:
    lines = (DEPLOY / "environment.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    made = {
        "BROADCAST_ENCRYPTION_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "BROADCAST_SECRET_KEY": secrets.token_urlsafe(48),
        "BROADCAST_DATA_DIR": str(tmp_path),
    }
    assert set(made) - {"BROADCAST_DATA_DIR"} < set(given)
    loaded = config.load(given | made)
    assert loaded.database_url.startswith("postgresql")
    assert loaded.metrics_token


# -- containers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_a_service_of_the_compose_file_starts_with_settings_that_load(name: str, tmp_path: Path) -> None:
    service = COMPOSE["services"][name]
    command, *words = service["command"]
    assert command == "broadcast"
    assert is_command(*words)
    contents = {
        "database_url": "postgresql://broadcast:secret@postgres/broadcast",
        "encryption_keys": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "secret_key": secrets.token_urlsafe(48),
        "metrics_token": secrets.token_hex(32),
    }
    assert set(service["secrets"]) == set(contents) <= set(COMPOSE["secrets"])
    for secret, text in contents.items():
        (tmp_path / secret).write_text(f"{text}\n")
    environment = {
        setting: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value).replace("/run/secrets", str(tmp_path))
        for setting, value in service["environment"].items()
    }
    loaded = config.load(environment | {"BROADCAST_DATA_DIR": str(tmp_path)})
    assert loaded.metrics_token == contents["metrics_token"]
    assert loaded.log_format == "json"


def test_the_secrets_of_the_compose_file_stay_out_of_the_repository() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()

    folders = {Path(secret["file"]).parent for secret in COMPOSE["secrets"].values()}

    assert {f"/{(DEPLOY / folder).relative_to(ROOT)}/" for folder in folders} <= set(ignored)


def test_the_compose_file_hangs_together() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"postgres", "migrate", "web", "worker"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > worker.STOP_S
    assert services["web"]["ports"] == ["127.0.0.1:8400:8400"]


def test_the_image_gets_all_that_the_wheel_needs() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {package.split(".")[0] for package in project["tool"]["setuptools"]["packages"]}
    files = {project["project"]["readme"], *project["project"]["license-files"]}
    assert packages | files | {"pyproject.toml", "requirements.lock"} == allowed


def test_the_image_is_made_from_the_lock_and_runs_a_command_of_ours_as_nobody_special() -> None:
    assert "--require-hashes --requirement requirements.lock" in DOCKERFILE
    assert "--no-deps --no-build-isolation ." in DOCKERFILE
    assert re.search(r"^USER broadcast$", DOCKERFILE, re.MULTILINE)
    command = re.search(r'^CMD \["broadcast", "(\w+)"\]$', DOCKERFILE, re.MULTILINE)
    assert command
    assert is_command(command[1])
    checked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", DOCKERFILE)
    assert checked
    assert int(checked[1]) == config.load({"BROADCAST_DATA_DIR": "/nowhere"} | KEYS).port
    assert f"EXPOSE {checked[1]}" in DOCKERFILE
    assert checked[2] in {operation.path for operation in OPERATIONS}
    uses = re.findall(r"^FROM python:(\S+)", DOCKERFILE, re.MULTILINE)
    assert len(uses) == 2
    assert len(set(uses)) == 1, "what is built for one Python runs on no other"


KEYS = {
    "BROADCAST_ENCRYPTION_KEYS": "k1:" + base64.b64encode(bytes(32)).decode(),
    "BROADCAST_SECRET_KEY": "0123456789abcdef0123456789abcdef",
}


# -- the proxy ----------------------------------------------------------------------------------------


def test_the_proxy_streams_what_the_gateway_streams_and_hides_the_metrics() -> None:
    text = re.sub(r"#.*", "", (DEPLOY / "nginx.conf").read_text())
    assert text.count("{") == text.count("}")
    streamed = re.search(r"location ~ (\S+) \{(.*?)\}", text, re.DOTALL)
    assert streamed
    for api in ("chat", "messages", "responses"):
        assert re.match(streamed[1], f"/api/v1{PATHS[api]}"), api
    assert "proxy_buffering off;" in streamed[2]
    assert re.search(r"location = /metrics \{\s*return 404;\s*\}", text)
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    size = re.search(r"client_max_body_size (\d+)m;", text)
    assert size
    limits = config.load({"BROADCAST_DATA_DIR": "/nowhere"} | KEYS)
    assert int(size[1]) * 2**20 > max(32 * 2**20, limits.max_body_bytes)
