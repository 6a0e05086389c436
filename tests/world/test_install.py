"""`pip install .` into a fresh environment gives a program that runs from any empty folder."""

import os
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.world


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    # The locked versions keep the test repeatable; pip checks them against the ranges of pyproject.toml.
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--constraint", str(constraints(folder)), str(ROOT)], check=True, timeout=800)
    return folder / "bin" / "broadcast"


def constraints(folder: Path) -> Path:
    """Return the locked versions without their hashes, which pip wants for all or for none."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(line.rstrip(" \\") for line in lines if not line.startswith(" ")))
    return pins


def run(program: Path, folder: Path, *arguments: str) -> str:
    values = {
        name: value for name, value in os.environ.items() if not name.startswith(("BROADCAST_", "PYTHON"))
    }
    ran = subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env=values,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_command_explains_itself(program: Path, tmp_path: Path) -> None:
    shown = run(program, tmp_path, "--help")
    for command in ("serve", "web", "worker", "migrate", "bootstrap", "status", "doctor", "keys"):
        assert command in shown


def test_migrate_makes_the_database_in_the_folder_it_is_run_in(program: Path, tmp_path: Path) -> None:
    run(program, tmp_path, "migrate")
    assert (tmp_path / "var" / "broadcast.db").exists()


def test_the_installed_pages_and_types_are_found(program: Path, tmp_path: Path) -> None:
    run(program, tmp_path, "migrate")
    python = program.with_name("python")
    code = (
        "from destinations import TYPES; from broadcast.__main__ import application; "
        "application(); print(*TYPES)"
    )
    shown = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert {"grafana", "honeycomb", "langfuse", "otel-collector", "webhook"} <= set(shown.split())
