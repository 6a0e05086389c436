"""Environments for foreign programs, made once on a machine: one folder for each set of packages."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

_PATIENCE_S = 800


def python_with(*requirements: str) -> Path:
    """Return the `bin` folder of a Python environment that holds the requirements and nothing of ours."""

    def make(folder: Path) -> None:
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", *requirements], folder)

    return _made("python", requirements, make) / "bin"


def node_with(*packages: str) -> Path:
    """Return a folder whose `node_modules` holds the packages."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        _run([*npm, *packages], folder)

    return _made("node", packages, make)


def clean_environment(**more: str) -> dict[str, str]:
    """Return our variables without what would reach into another Python or another Broadcast."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("BROADCAST_", "PYTHON"))}
    return own | more


def _made(kind: str, wanted: tuple[str, ...], make: Callable[[Path], None]) -> Path:
    """Return the folder of a set of packages; one that was not finished has no mark, and is made again."""
    digest = hashlib.sha256("\n".join([kind, *wanted]).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"broadcast-world-{os.getuid()}" / f"{kind}-{digest}"
    mark = folder / "complete"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        mark.touch()
    return folder


def _run(command: list[str], folder: Path) -> None:
    ran = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}\n{ran.stderr}"
