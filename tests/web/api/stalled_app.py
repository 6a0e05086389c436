"""The chat routes with one slot, over the providers of a file, for clients that stall."""

import os
from pathlib import Path

from flask import Flask

from broadcast.gateway import Gateway, load_upstreams
from broadcast.gateway.slots import Slots
from broadcast.gateway.watch import Watch
from tests.web.api import chat_app

LIMIT_S = 0.5
FILE_VARIABLE = "TEST_UPSTREAMS"


def application() -> Flask:
    """Return the application for a server in a process of its own."""
    upstreams = load_upstreams(Path(os.environ[FILE_VARIABLE]), {}, with_demo=True)
    watch = Watch(limit_s=LIMIT_S)
    return chat_app.application(
        Gateway(upstreams, "openrouter", chat_app.now_us, slots=Slots(total=1), watch=watch)
    )
