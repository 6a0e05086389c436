"""What commands print while they wait, on a real terminal and elsewhere."""

import os
import pty
import subprocess
import sys
from datetime import timedelta, timezone

from broadcast.cli_output import moment

WAITS = """
import time
from broadcast.cli_output import waiting

with waiting("Testing 2 destinations"):
    time.sleep(1.5)
"""


def test_a_terminal_shows_for_how_long_something_takes() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", WAITS], stderr=theirs, check=True)
        shown = os.read(ours, 4096).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert shown.startswith("\rTesting 2 destinations ... 0 s\rTesting 2 destinations ... 1 s")
    assert shown.endswith("\r\n")


def test_elsewhere_it_is_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", WAITS], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"Testing 2 destinations ...\n")


def test_the_calendar_s_last_day_is_shown_where_a_zone_has_none() -> None:
    assert moment("9999-12-31T23:59:59Z", timezone(timedelta(hours=9))) == "9999-12-31 23:59:59"
