"""The whole API over real use cases, on an embedded database of its own."""

import base64
import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from broadcast import config, runtime
from broadcast.runtime import Services
from destinations import TYPES
from tests.databases import sqlite_url
from web import api

ANN = "ann@example.com"
PASSWORD = "correct horse"


@dataclass(frozen=True, kw_only=True)
class Api:
    """A client of the API, with the keys of its first workspace."""

    services: Services
    app: Flask
    workspace_uid: str
    api_key: str
    management_key: str

    def call(self, method: str, path: str, *, key: str | None = None, body: Any = None, **more: Any) -> Any:
        headers = {**more.pop("headers", {})}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        data = more.pop("data", None if body is None else json.dumps(body))
        return self.app.test_client().open(path, method=method, headers=headers, data=data, **more)


def _environment(folder: Path, url: str) -> dict[str, str]:
    return {
        "BROADCAST_DATA_DIR": str(folder),
        "BROADCAST_DATABASE_URL": url,
        "BROADCAST_ENCRYPTION_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "BROADCAST_SECRET_KEY": secrets.token_urlsafe(40),
        "BROADCAST_EGRESS_ALLOW": "127.0.0.1",
        "BROADCAST_DEMO": "1",
    }


@contextlib.contextmanager
def running(folder: Path, url: str, app_of: Callable[[Services], Flask]) -> Iterator[Api]:
    """Run a fresh instance on a database, with one workspace that ann owns."""
    services = runtime.build(config.load(_environment(folder, url)), TYPES)
    services.ingest.start()
    made = services.accounts.bootstrap(
        email=ANN,
        password=PASSWORD,
        workspace="Team",
        new_keys=False,
        now_us=services.clock(),
    )
    yield Api(
        services=services,
        app=app_of(services),
        workspace_uid=made["workspace_id"],
        api_key=made["api_key"],
        management_key=made["management_key"],
    )
    services.ingest.stop()
    for thread in threading.enumerate():
        if thread.name == "key-used":
            thread.join()
    services.store.close()


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Api]:
    """Return the API of a fresh instance with one workspace."""
    with sqlite_url() as url, running(tmp_path, url, _api_alone) as found:
        yield found


def _api_alone(services: Services) -> Flask:
    app = Flask("api under test")
    api.register(app, services)
    return app
