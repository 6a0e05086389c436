"""Where the program is assembled: the command, and the web application that the server asks for."""

import gc
from typing import Any

from broadcast.cli import main
from broadcast.config import load
from broadcast.logs import configure
from broadcast.reloading import Watch
from broadcast.runtime import build
from broadcast.serving import end_with_parent, leave_hangup_to_parent


def application() -> Any:
    """Return the WSGI application, with its ingest writer started; called in the server's own process."""
    from destinations import TYPES  # noqa: PLC0415 - the worker's command has no need of the pages
    from web import create_app, security  # noqa: PLC0415

    end_with_parent()
    leave_hangup_to_parent()
    config = load()
    configure(config.log_level, config.log_format, security.request_id_or_none)
    services = build(config, TYPES)
    services.ingest.start()
    Watch(services, load).start()
    program = create_app(services)
    # What is loaded by now stays. A full collection would walk all of it and hold up every request meanwhile.
    gc.collect()
    gc.freeze()
    return program


if __name__ == "__main__":
    main()
