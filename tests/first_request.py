"""Do what the README's reader does after `make run`: wait, run the printed curl, look. Used by .ci/run."""

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE_S = 300


def main() -> None:
    """Exit with a sentence when anything of it fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    wait_until_ready(options.port)
    answer = send_the_printed_request(printed_curl(options.log))
    print(f"ready on port {options.port}; the answer's id is {answer['id']}")


def wait_until_ready(port: int) -> None:
    """Ask /readyz until it says 200."""
    until = time.monotonic() + PATIENCE_S
    reason = "nothing listens"
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.read(500).decode(errors='replace')}"
        except OSError as error:
            reason = str(error)
        time.sleep(0.2)
    sys.exit(f"/readyz was not 200 within {PATIENCE_S} s: {reason}")


def printed_curl(log: Path) -> list[str]:
    """Return the one curl line that a first start prints."""
    found = re.search(r"^ *(curl .+)$", log.read_text(), re.MULTILINE)
    return shlex.split(found[1]) if found else sys.exit("make run printed no curl line.")


def send_the_printed_request(curl: list[str]) -> dict[str, str]:
    """Run it and return the answer, which must be a chat completion with a generation id."""
    ran = subprocess.run(
        [*curl, "--silent", "--show-error", "--fail-with-body"], capture_output=True, check=False
    )
    if ran.returncode:
        sys.exit(f"The printed curl failed: {ran.stderr.decode()} {ran.stdout.decode()}")
    answer: dict[str, str] = json.loads(ran.stdout)
    if not re.fullmatch(r"gen-\d+-[A-Za-z0-9]{20}", answer.get("id", "")):
        sys.exit(f"The answer has no generation id: {ran.stdout.decode()[:500]}")
    return answer


if __name__ == "__main__":
    main()
