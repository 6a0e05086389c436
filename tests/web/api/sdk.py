"""The official `openrouter` SDK, unmodified, at the whole web application on a loopback port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from openrouter import OpenRouter
from werkzeug.serving import make_server

from broadcast.runtime import Services
from web import create_app


@contextmanager
def live(services: Services) -> Iterator[str]:
    """Serve the application and return its address."""
    server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="live-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client(url: str, key: str) -> Iterator[OpenRouter]:
    """Return the SDK with nothing but another base URL; it tries each request once."""
    with OpenRouter(server_url=f"{url}/api/v1", api_key=key) as made:
        yield made
