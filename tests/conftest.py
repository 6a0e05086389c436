"""What every test lives under: loopback only, repeatable randomness, and the databases."""

import atexit
import ipaddress
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest

pytest_plugins = ["tests.databases"] if (Path(__file__).parent / "databases.py").exists() else []

hypothesis.settings.register_profile("here", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

# The PostgreSQL of the wheel keeps its lock files here, and warns where no login session made the place.
if not os.environ.get("XDG_RUNTIME_DIR"):
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="broadcast-tests-")
    atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)

# A shell lets what it starts in the background ignore Ctrl-C, and our programs would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def stays_here(address: object) -> bool:
    """Tell whether a socket address belongs to this machine: loopback, or a unix socket."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0]).partition("%")[0]
    if host in {"", "localhost"}:
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"} and not stays_here(arguments[1]):
        pytest.fail(f"A test tried to reach {arguments[1]}. Tests stay on loopback and unix sockets.")


# An audit hook also sees what C code opens through Python's sockets, and nothing can patch it away.
sys.addaudithook(_loopback_only)
