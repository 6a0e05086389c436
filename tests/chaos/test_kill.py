"""Web, worker and PostgreSQL killed at random: nothing answered with 202 is lost, and little comes twice."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.chaos.harness import Plan, Run, shown

RESULTS = Path("bench-results/chaos.json")


def seed() -> int:
    return int(os.environ.get("SEED") or time.time_ns() % 1_000_000)


def check(plan: Plan, folder: Path) -> dict[str, object]:
    print(f"SEED={plan.seed}")
    figures = Run(plan=plan, folder=folder).go()
    print(shown(figures))
    assert not figures["faults"], f"SEED={plan.seed}\n" + "\n".join(figures["faults"])
    return figures


@pytest.mark.timeout(180)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_accepted_is_lost_when_everything_is_killed(database: str, tmp_path: Path) -> None:
    check(
        Plan(
            database=database,
            seed=seed(),
            duration_s=20,
            receipts_per_s=100,
            worker_kills=5,
            web_kills=2,
            database_kills=2 if database == "postgresql" else 0,
        ),
        tmp_path,
    )


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_nothing_accepted_is_lost_in_ten_minutes_of_kills(database: str, tmp_path: Path) -> None:
    long = database == "postgresql"
    duration_s = float(os.environ.get("DURATION_S") or 600) / (1 if long else 5)
    figures = check(
        Plan(
            database=database,
            seed=seed(),
            duration_s=duration_s,
            receipts_per_s=300,
            # At least 100 workers and 10 servers in ten minutes.
            worker_kills=round(duration_s / 5.5),
            web_kills=round(duration_s / 25),
            database_kills=round(duration_s / 50) if long else 0,
            webs=2 if long else 1,
        ),
        tmp_path,
    )
    RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {database: figures}, indent=2) + "\n")
