"""A real server whose first workspace has something on every page, and a second that is still empty."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from broadcast import config, runtime
from broadcast.store import users, workspaces
from broadcast.times import rfc3339
from destinations import TYPES
from tests.e2e.conftest import Served, environment, start, stop
from tests.e2e.test_pictures import SHOWN, post, receipt, receipts, shown
from tests.identity_provider import CLIENT_ID, IdentityProvider
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, log_in
from tests.web.pages.test_every_page import Scene, furnished
from tests.web.pages.test_pages import add_collector
from web import create_app

PATIENCE_S: Final = 90
RECEIPTS: Final = 160
FAILED: Final = "req-failed"
EMPTY: Final = "Fresh team"
CLIENT_SECRET: Final = "secret-of-both-sides"


@dataclass(frozen=True, kw_only=True)
class House:
    """A running server, its pages with a value for every address, and its destinations by what they do."""

    served: Served
    scene: Scene
    empty: str
    destinations: dict[str, str]

    @property
    def cookie(self) -> tuple[str, str]:
        """Return the name and value of the owner's session."""
        name = "broadcast_session"
        found = self.scene.pages.client.get_cookie(name)
        assert found is not None
        return name, found.value


def failed(now_s: float) -> dict[str, Any]:
    """Return a request that no provider could answer."""
    tries = (("Azure", 429, 12, 210), ("OpenAI", 503, 240, 1600), ("Azure", 504, 1860, 3000))
    return receipt(random.Random(5), FAILED, now_s) | {
        "created_at": rfc3339(int((now_s - 20) * 1e6)),
        "provider": "Azure",
        "model": "openai/gpt-4o",
        "status": "error",
        "duration_ms": 4870.2,
        "timing": {"router_ms": 12},
        "usage": {"input_tokens": 1840, "output_tokens": 0},
        "cost": {"total_usd": "0"},
        "error": {
            "type": "provider_error",
            "code": 503,
            "message": "The model is overloaded. Try again later.",
        },
        "attempts": [
            {"provider": name, "status_code": status, "start_ms": start_ms, "duration_ms": duration_ms}
            for name, status, start_ms, duration_ms in tries
        ],
    }


def later(now_s: float) -> list[dict[str, Any]]:
    """Return requests of every other end, and a few more that succeeded."""
    ends = [
        shown(now_s) | {"id": f"req-{status}", "status": status, "attempts": [], "provider": None}
        for status in ("denied", "cancelled")
    ]
    recent = [shown(now_s) | {"id": f"req-late-{number}"} for number in range(4)]
    return [failed(now_s), *ends, *recent]


def wait_for(pages: Pages, path: str, *words: str) -> None:
    """Wait until a page says all of these."""
    deadline = time.monotonic() + PATIENCE_S
    while missing := [word for word in words if word not in pages.get(path)]:
        assert time.monotonic() < deadline, (path, missing)
        time.sleep(0.2)


def work(house: House, collector: Receiver) -> None:
    """Let requests come in, and wait until each destination has done what it is here to show."""
    pages, at = house.scene.pages, house.destinations
    collector.answer("/staging/v1/traces", status=401, body="the token has expired", times=1000)
    collector.answer("/busy/v1/traces", status=429, headers={"Retry-After": "900"}, times=1000)
    post(house.served, receipts(time.time())[-RECEIPTS:])
    wait_for(pages, at["paused"], "401, next try")
    wait_for(pages, at["throttled"], "429, next try")
    at["strict"] = add_collector(pages, collector.url("/strict/v1/traces"), "Strict collector")
    collector.answer("/strict/v1/traces", status=400, body="attribute user is not allowed", times=1000)
    post(house.served, later(time.time()))
    pages.post(f"{at['delivering']}/replay", {"receipt_id": SHOWN, "include_delivered": "1"})
    wait_for(pages, at["strict"], "7 rejected")
    wait_for(pages, at["delivering"], "<dd>0 receipts</dd>", "Replays")


@contextmanager
def furnished_house(folder: Path) -> Iterator[House]:
    """Start a server, and put something on every page of its first workspace."""
    with ExitStack() as stack:
        collector = stack.enter_context(Receiver())
        provider = IdentityProvider(now_s=lambda: int(time.time()), client_secret=CLIENT_SECRET)
        oidc = {
            "BROADCAST_OIDC_ISSUER": stack.enter_context(provider).issuer,
            "BROADCAST_OIDC_CLIENT_ID": CLIENT_ID,
            "BROADCAST_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "BROADCAST_OIDC_NAME": "Example ID",
        }
        served = start(folder, environment(folder, None, BROADCAST_EGRESS_ALLOW="127.0.0.1", **oidc))
        stack.callback(stop, served)
        house = settle_in(served, stack, collector)
        work(house, collector)
        yield house


def settle_in(served: Served, stack: ExitStack, collector: Receiver) -> House:
    """Open the server's own database beside it, as a second process of the program would."""
    services = runtime.build(config.load(served.environment), TYPES)
    stack.callback(services.store.close)
    services.ingest.start()
    stack.callback(services.ingest.stop)
    app = create_app(services)
    with services.store.read() as conn:
        workspace, owner = workspaces.by_slug(conn, "demo"), users.by_email(conn, served.email)
    assert workspace is not None
    assert owner is not None
    client = log_in(app, served.email, served.password)
    pages = Pages(app=app, services=services, workspace=workspace, client=client)
    # In the order of the list; the last one of a furnished workspace leads to a collector that is gone.
    destinations = {
        fate: add_collector(pages, collector.url(f"/{path}/v1/traces"), name)
        for fate, path, name in (
            ("delivering", "tempo", "Tempo"),
            ("paused", "staging", "Staging collector"),
            ("throttled", "busy", "Busy collector"),
        )
    }
    scene = furnished(pages)
    destinations["retrying"] = f"/settings/observability/{scene.values['uid']}"
    uid = destinations["delivering"].rsplit("/", 1)[-1]
    empty = services.accounts.create_workspace(name=EMPTY, owner=owner, now_us=services.clock())
    return House(
        served=served,
        scene=replace(scene, values={**scene.values, "uid": uid, "receipt_id": FAILED}),
        empty=f"/w/{empty.slug}",
        destinations=destinations,
    )
