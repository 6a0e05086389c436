"""The assembled program: every use case, built once from the configuration and passed down."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from broadcast import allocator, failpoints
from broadcast.accounts import Accounts
from broadcast.config import Config
from broadcast.connections import Connections
from broadcast.destination import Destination
from broadcast.egress import Policy
from broadcast.errors import ConfigError
from broadcast.gateway import Gateway, load_upstreams
from broadcast.ingest import Ingest
from broadcast.invitations import Invitations
from broadcast.mail import Mailer
from broadcast.meters import Meters
from broadcast.notice_settings import NoticeSettings
from broadcast.operator_export import OperatorExports
from broadcast.outbound import Outbound
from broadcast.passwords import Passwords
from broadcast.replay import Replays
from broadcast.settings_apply import WholeSettings
from broadcast.sign_in import SignIns
from broadcast.store import Store
from broadcast.vault import KeyRing, Vault

_PROVIDER_CONNECTIONS: Final = 8
Clock = Callable[[], int]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a process works with; `clock` returns microseconds since 1970."""

    config: Config
    store: Store
    vault: Vault
    ingest: Ingest
    accounts: Accounts
    invitations: Invitations
    passwords: Passwords
    sign_ins: SignIns | None
    connections: Connections
    replays: Replays
    operator_exports: OperatorExports
    whole_settings: WholeSettings
    mailer: Mailer | None
    notice_settings: NoticeSettings
    gateway: Gateway
    types: Mapping[str, type[Destination]]
    policy: Policy
    clock: Clock
    meters: Meters

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()


def now_us() -> int:
    """Return this machine's clock in microseconds since 1970."""
    return time.time_ns() // 1000


def build(config: Config, types: Mapping[str, type[Destination]]) -> Services:
    """Return the assembled program; raise `ConfigError` for keys, addresses or upstreams that cannot be read.

    Nothing is connected to yet and no thread is started.
    """
    try:
        failpoints.arm(config.failpoint)
    except ValueError:
        raise ConfigError(
            "BROADCAST_FAILPOINT names no place of this version. Remove it: it is for tests."
        ) from None
    allocator.keep_memory()
    config.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store.open(config.database_url)
    vault = Vault(KeyRing.parse(config.encryption_keys))
    own = (config.receiver_address,) if config.demo else ()
    policy = Policy.parse((*config.egress_allow, *own))
    mailer = Mailer(config.mail_server) if config.mail_server else None
    accounts = Accounts(store, config.secret_key, vault, now_us)
    invitations = Invitations(store, accounts, mailer, config.public_url, now_us)
    meters = Meters()
    connections = Connections(store, vault, types, policy, config)
    upstreams = load_upstreams(config.upstreams, config.variables, with_demo=config.demo)
    return Services(
        config=config,
        store=store,
        vault=vault,
        ingest=Ingest(store, vault, now_us, config.retention_us, config.content_ttl_us, meters=meters),
        accounts=accounts,
        invitations=invitations,
        passwords=Passwords(store, mailer, config.public_url, now_us),
        sign_ins=_sign_ins(config, store, invitations),
        connections=connections,
        replays=Replays(store, types),
        operator_exports=OperatorExports(store, vault, types, policy),
        whole_settings=WholeSettings(store, connections, types),
        mailer=mailer,
        notice_settings=NoticeSettings(store, vault, policy, mailer, config.public_url),
        gateway=Gateway(upstreams, config.service_name, now_us),
        types=types,
        policy=policy,
        clock=now_us,
        meters=meters,
    )


def _sign_ins(config: Config, store: Store, invitations: Invitations) -> SignIns | None:
    if config.oidc is None:
        return None
    # Its library is large, and most installations have no use for it.
    from broadcast.oidc import Provider  # noqa: PLC0415 - loaded only where the operator has set a provider

    provider = Provider(config.oidc, config.public_url, Outbound(connections=_PROVIDER_CONNECTIONS))
    return SignIns(store, provider, invitations, now_us)
