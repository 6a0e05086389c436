"""The chat routes alone, with keys and a receiver of receipts in memory, for a server of its own."""

import os
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from flask import Flask, Response

from broadcast.errors import Forbidden, Unavailable
from broadcast.gateway import Gateway, load_upstreams
from broadcast.meters import Meters
from broadcast.receipt import Receipt
from broadcast.runtime import Services
from web.api import chat, door


def now_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, kw_only=True)
class AKey:
    workspace_id: int = 1
    hash: str = "ab" * 32
    name: str = "My key"
    kind: str = "api"
    scopes: tuple[str, ...] = ("chat",)


KEYS = {
    "sk-chat": AKey(),
    "sk-receipts": AKey(scopes=("receipts:write",)),
    "sk-mgmt": AKey(kind="management", scopes=()),
    "sk-mgmt-past": AKey(kind="management", scopes=(), workspace_id=2),
}
RESTING = {"sk-resting": AKey()}


class Accounts:
    def authenticate(self, bearer: str) -> AKey | None:
        if bearer == "sk-down":
            raise Unavailable("The database cannot be reached.", retry_after_s=3)
        return KEYS.get(bearer)

    def resting(self, bearer: str) -> AKey | None:
        return RESTING.get(bearer)

    def require_sender(self, key: AKey) -> None:
        """Nobody manages the second workspace any more."""
        if key.kind == "management" and key.workspace_id == 2:
            raise Forbidden("Whoever made this management key no longer manages the workspace.")


@dataclass
class Ingest:
    offered: list[tuple[int, Receipt]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def offer(self, workspace_id: int, receipt: Receipt, key: Any) -> None:
        self.offered.append((workspace_id, receipt))

    def lose(self, receipt_id: str, _error: Exception) -> None:
        self.lost.append(receipt_id)


def make(ingest: Ingest, gateway: Gateway | None = None) -> Flask:
    gateway = gateway or Gateway(load_upstreams(None, {}, with_demo=True), "openrouter", now_us)
    services = SimpleNamespace(
        accounts=Accounts(), ingest=ingest, gateway=gateway, clock=now_us, store=None, meters=Meters()
    )
    app = Flask(__name__)
    app.register_blueprint(chat.blueprint(cast("Services", services)))
    door.install(app, chat.takers(cast("Services", services)))
    return app


def application(gateway: Gateway | None = None) -> Flask:
    """Return the application for a server in a process of its own, which tells its receipts."""
    ingest = Ingest()
    app = make(ingest, gateway)

    @app.get("/offered")
    def offered() -> Response:
        receipts = [receipt for _, receipt in ingest.offered]
        return Response(msgspec.json.encode([os.getpid(), receipts]), content_type="application/json")

    return app
