"""The wheel holds all that `pip install .` needs to run from an empty folder."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build from a copy of what is listed, so that nothing of a build stays in the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "broadcast", "destinations", "migrations", "web"):
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, timeout=100)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def files(folder: str, *, leave_out: tuple[str, ...] = ("__pycache__",)) -> set[str]:
    """Return the files below a folder of the source, as the wheel names them."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not set(leave_out) & set(path.parts)
    }


@pytest.mark.parametrize(
    "folder", ["broadcast", "destinations", "migrations", "web", "web/templates", "web/static"]
)
def test_the_wheel_holds_every_file_of(folder: str, wheel: set[str]) -> None:
    assert files(folder) - wheel == set()


def test_the_wheel_holds_the_licence_and_nothing_of_the_tests(wheel: set[str]) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert not [name for name in wheel if name.startswith("tests/")]


def test_no_lock_file_names_a_host() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()


def test_every_locked_dependency_has_a_hash() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        entries = lock.read_text().replace("\\\n", " ").splitlines()
        assert [entry for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []
