"""Grafana's own grammar of TraceQL reads every query of the ready-made views."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.destinations.test_traceql import GOOD
from tests.destinations.test_views import GRAFANA, queries_of, text_of
from tests.world.environments import clean_environment, node_with

pytestmark = pytest.mark.world

GRAMMAR = ("@grafana/lezer-traceql@1.0.0", "@lezer/lr@1.4.12", "@lezer/common@1.5.5")
SCRIPT = Path(__file__).with_name("traceql.mjs")


def not_understood(folder: Path, queries: list[str]) -> list[str]:
    (folder / "node_modules").symlink_to(node_with(*GRAMMAR) / "node_modules")
    script = folder / SCRIPT.name
    script.write_text(SCRIPT.read_text(encoding="utf-8"))
    ran = subprocess.run(
        ["node", str(script)],
        input=json.dumps(queries),
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout))


def test_every_query_of_a_view_is_understood(tmp_path: Path) -> None:
    queries = [query for slug, file in GRAFANA for query in queries_of(text_of(slug, file))]
    assert len(queries) > 40
    assert not_understood(tmp_path, queries) == []


def test_our_own_parser_takes_no_more_than_grafana_does(tmp_path: Path) -> None:
    wrong = ["{ status = }", "{} | by()", "{ true", "{} | quantile_over_time(duration, .95)"]
    assert not_understood(tmp_path, [*GOOD, *wrong]) == wrong
