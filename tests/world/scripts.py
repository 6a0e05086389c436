"""Short scripts in an environment of their own, which print one JSON document."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.world.environments import clean_environment


def told(python: Path, script: str, *arguments: str, given: str = "") -> Any:
    """Return what a script prints last; `given` is its standard input."""
    ran = subprocess.run(
        [str(python), "-c", script, *arguments],
        env=clean_environment(),
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])
