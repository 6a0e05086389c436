"""The demo's first start: a workspace, a login, keys and the embedded receiver as a destination."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broadcast.vault import derive

if TYPE_CHECKING:
    from broadcast.config import Config
    from broadcast.runtime import Services

EMAIL = "operator@example.com"
WORKSPACE = "Demo"
RECEIVER_NAME = "Receiver"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What is printed once."""

    email: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)


def receiver_url(config: "Config", workspace_uid: str) -> str:
    """Return the address of the embedded receiver, which the web process serves itself."""
    return f"http://{config.receiver_address}/receiver/{workspace_uid}/v1/traces"


def receiver_token(config: "Config", workspace_uid: str) -> str:
    """Return the bearer token of a workspace's receiver, derived so that nothing has to be stored for it."""
    return derive(config.secret_key, f"receiver:{workspace_uid}").hex()


def prepare_demo(services: "Services") -> Demo | None:
    """Make the demo's workspace when there is none yet, and return what to print; otherwise None."""
    made = services.accounts.ensure_demo(services.clock())
    if made is None:
        return None
    config = services.config
    services.connections.add_demo_receiver(
        workspace_id=made.workspace_id,
        name=RECEIVER_NAME,
        config={
            "endpoint": receiver_url(config, made.workspace_uid),
            "headers": {"Authorization": f"Bearer {receiver_token(config, made.workspace_uid)}"},
        },
        now_us=services.clock(),
    )
    return Demo(email=made.email, password=made.password, api_key=made.api_key)
