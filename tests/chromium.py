"""Find a Chromium for the browser tests, or install one and say so; prints its path."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find() -> str | None:
    """Return the path of a Chromium that runs, by `CHROMIUM`, by name, or from Playwright's own folder."""
    for candidate in (os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), _of_playwright()):
        if candidate and _runs(candidate):
            return candidate
    return None


def _runs(path: str) -> bool:
    # A distribution's `chromium-browser` may be a stub that only names another package.
    try:
        return (
            subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _of_playwright() -> str | None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only when no system browser was found

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Install Chromium from the distribution as root, else from Playwright."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _say("Chromium was not found. Installing it with apt-get.")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", "chromium"]):
            if subprocess.run(["apt-get", *step], env=quiet, stdout=sys.stderr, check=False).returncode:
                break
        if find():
            return
    _say("Chromium was not found. Installing it with playwright install.")
    playwright = [sys.executable, "-m", "playwright", "install"]
    needs_libraries = ["--with-deps"] if os.geteuid() == 0 else []
    subprocess.run([*playwright, *needs_libraries, "chromium"], stdout=sys.stderr, check=False)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> None:
    """Print the path of a Chromium, installing it first where needed."""
    found = find()
    if not found:
        install()
        found = find()
    if not found:
        sys.exit("No Chromium could be found or installed. Name one in the variable CHROMIUM.")
    _say(f"Browser tests use {found}.")
    print(found)


if __name__ == "__main__":
    main()
