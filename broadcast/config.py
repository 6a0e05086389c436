"""The environment as one frozen record; the only reader of `os.environ`.

A value may come from `NAME` or from the file named by `NAME_FILE`.
An unknown `BROADCAST_*` name stops the process.
"""

import base64
import binascii
import contextlib
import ipaddress
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broadcast import variables
from broadcast.errors import ConfigError
from broadcast.fields import Secret
from broadcast.mail import MailServer
from broadcast.oidc_settings import OidcSettings
from broadcast.request import Identity

_NAMES: Final = frozenset(
    "BROADCAST_" + name
    for name in (
        "HOST", "PORT", "PUBLIC_URL", "DATA_DIR", "DATABASE_URL", "ENCRYPTION_KEYS", "SECRET_KEY",
        "SERVICE_NAME", "EGRESS_ALLOW", "UPSTREAMS", "RETENTION_DAYS", "CONTENT_TTL_HOURS",
        "MAX_BODY_BYTES", "DEMO", "SMTP_URL", "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET",
        "OIDC_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_STS_URL",
        "OTEL_CONFIG", "METRICS_TOKEN", "TRUSTED_PROXIES", "LOG_LEVEL", "LOG_FORMAT",
        "FAILPOINT", "URL", "KEY",
    )
)  # fmt: skip
_LEVELS: Final = ("debug", "info", "warning", "error")
_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything the operator decides; secrets never print."""

    host: str
    port: int
    public_url: str
    data_dir: Path
    database_url: str
    encryption_keys: str = field(repr=False)
    secret_key: bytes = field(repr=False)
    service_name: str
    egress_allow: tuple[str, ...]
    upstreams: Path | None
    retention_us: int
    content_ttl_us: int
    max_body_bytes: int
    demo: bool
    mail_server: MailServer | None
    oidc: OidcSettings | None
    aws: Identity | None
    metrics_token: str = field(repr=False)
    otel_config: Path | None
    trusted_proxies: tuple[str, ...]
    log_level: str
    log_format: str
    failpoint: str
    variables: Mapping[str, str] = field(repr=False)

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return self.database_url.startswith("sqlite")

    @property
    def receiver_address(self) -> str:
        """Return host and port of this web process, the one address the demo's receiver is dialled at."""
        host = "127.0.0.1" if self.host in {"", "0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Return the configuration; raise `ConfigError` naming the variable at fault and the fix."""
    env = _Env(dict(os.environ if environ is None else environ))
    env.refuse_unknown()
    data_dir = Path(env.text("DATA_DIR") or "var").absolute()
    database_url = _database_url(env, data_dir)
    host, port = env.text("HOST") or "127.0.0.1", env.number("PORT", 8400, low=1, high=65_535)
    embedded = database_url.startswith("sqlite")
    return Config(
        host=host,
        port=port,
        public_url=_public_url(env, host, port),
        data_dir=data_dir,
        database_url=database_url,
        encryption_keys=_encryption_keys(env, data_dir, embedded=embedded),
        secret_key=_secret_key(env, data_dir, embedded=embedded),
        service_name=_service_name(env),
        egress_allow=env.items("EGRESS_ALLOW"),
        upstreams=env.path("UPSTREAMS"),
        otel_config=env.path("OTEL_CONFIG"),
        retention_us=env.number("RETENTION_DAYS", 30, low=1, high=3650) * _DAY_US,
        content_ttl_us=env.number("CONTENT_TTL_HOURS", 72, low=1, high=8760) * _HOUR_US,
        max_body_bytes=env.number("MAX_BODY_BYTES", 16 * 2**20, low=1024, high=2**30),
        demo=env.flag("DEMO"),
        mail_server=MailServer.parse(url) if (url := env.text("SMTP_URL")) else None,
        oidc=_oidc(env),
        aws=_identity(env),
        metrics_token=_metrics_token(env),
        trusted_proxies=_networks(env),
        log_level=env.choice("LOG_LEVEL", _LEVELS),
        log_format=env.choice("LOG_FORMAT", ("text", "json")),
        failpoint=env.text("FAILPOINT"),
        variables=env.values,
    )


def preset(name: str, value: str) -> None:
    """Give a library's own variable a value, unless the operator has."""
    os.environ.setdefault(name, value)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What whoever types a command has set: a remote instance and the key there, and their variables."""

    url: str
    key: str = field(repr=False)
    colours: bool
    variables: Mapping[str, str] = field(repr=False)


def caller(environ: Mapping[str, str] | None = None) -> Caller:
    """Return what the command line takes from the environment; nothing is generated for it."""
    env = _Env(dict(os.environ if environ is None else environ))
    env.refuse_unknown()
    return Caller(
        url=env.text("URL"),
        key=env.text("KEY"),
        # https://no-color.org: present and not empty, whatever it holds.
        colours=not env.values.get("NO_COLOR"),
        variables=env.values,
    )


class _Env:
    """Reads of one mapping of variables, each naming the variable it read when something is wrong."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def refuse_unknown(self) -> None:
        for name in sorted(self.values):
            if name.startswith("BROADCAST_") and name.removesuffix("_FILE") not in _NAMES:
                raise ConfigError(f"{name} is not a setting of Broadcast. Remove it, or correct its name.")

    def text(self, short: str) -> str:
        return variables.text(self.values, f"BROADCAST_{short}")

    def path(self, short: str) -> Path | None:
        text = self.text(short)
        return Path(text).absolute() if text else None

    def number(self, short: str, default: int, *, low: int, high: int) -> int:
        text = self.text(short)
        try:
            value = int(text) if text else default
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ConfigError(f"BROADCAST_{short} must be a whole number from {low} to {high}.")
        return value

    def flag(self, short: str) -> bool:
        return self.choice(short, ("0", "1", "false", "true")) in {"1", "true"}

    def choice(self, short: str, allowed: tuple[str, ...]) -> str:
        default = "info" if "info" in allowed else allowed[0]
        value = self.text(short).lower() or default
        if value not in allowed:
            raise ConfigError(f"BROADCAST_{short} must be one of {', '.join(allowed)}.")
        return value

    def items(self, short: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in self.text(short).split(",") if item.strip())


def _database_url(env: _Env, data_dir: Path) -> str:
    url = env.text("DATABASE_URL")
    if not url:
        return f"sqlite:///{data_dir / 'broadcast.db'}"
    if not re.match(r"(postgresql(\+psycopg)?|postgres|sqlite)://", url):
        raise ConfigError("BROADCAST_DATABASE_URL must begin with postgresql:// or sqlite:///.")
    return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", url)


def _public_url(env: _Env, host: str, port: int) -> str:
    url = env.text("PUBLIC_URL").rstrip("/")
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    if not url:
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    if not is_address(url) or urlsplit(url).path:
        raise ConfigError("BROADCAST_PUBLIC_URL must be like https://broadcast.example.com, without a path.")
    return url


def is_address(url: str) -> bool:
    """Return whether this is the whole address of a server: http or https, a host, and a path at most."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_whole and "@" not in parts.netloc and re.fullmatch(r"[^\s?#\\]+", url) is not None


def _service_name(env: _Env) -> str:
    name = env.text("SERVICE_NAME") or "openrouter"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError("BROADCAST_SERVICE_NAME must be lower-case letters, digits and underscores.")
    return name


def _oidc(env: _Env) -> OidcSettings | None:
    return OidcSettings.parse(
        issuer=env.text("OIDC_ISSUER"),
        client_id=env.text("OIDC_CLIENT_ID"),
        client_secret=env.text("OIDC_CLIENT_SECRET"),
        name=env.text("OIDC_NAME"),
    )


def _identity(env: _Env) -> Identity | None:
    """Its names are not the SDKs' own: what a machine is allowed to must not be lent to its workspaces."""
    key_id, secret, url = (
        env.text(f"AWS_{short}") for short in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "STS_URL")
    )
    if bool(key_id) != bool(secret) or (url and not key_id):
        raise ConfigError(
            "BROADCAST_AWS_ACCESS_KEY_ID and BROADCAST_AWS_SECRET_ACCESS_KEY belong together. Set both, or "
            "none and no BROADCAST_AWS_STS_URL."
        )
    if url and not is_address(url):
        raise ConfigError("BROADCAST_AWS_STS_URL must be like https://sts.eu-central-1.amazonaws.com/.")
    return Identity(key_id=key_id, secret=Secret(secret), sts_url=url) if key_id else None


def _metrics_token(env: _Env) -> str:
    token = env.text("METRICS_TOKEN")
    if not re.fullmatch(r"[!-~]*", token):
        raise ConfigError("BROADCAST_METRICS_TOKEN must be ASCII characters without spaces: it is a header.")
    return token


def _networks(env: _Env) -> tuple[str, ...]:
    for item in env.items("TRUSTED_PROXIES"):
        try:
            ipaddress.ip_network(item, strict=False)
        except ValueError:
            raise ConfigError("BROADCAST_TRUSTED_PROXIES must be addresses or CIDR ranges.") from None
    return env.items("TRUSTED_PROXIES")


def _encryption_keys(env: _Env, data_dir: Path, *, embedded: bool) -> str:
    keys = env.text("ENCRYPTION_KEYS")
    if not keys and embedded:
        keys = _generated(data_dir / "encryption_keys", lambda: f"k1:{_random()}")
    if not keys:
        raise ConfigError(
            "BROADCAST_ENCRYPTION_KEYS is required with PostgreSQL: id:base64 of 32 random bytes, "
            "for example k1:$(openssl rand -base64 32)."
        )
    for item in keys.split(","):
        name, _, encoded = item.strip().partition(":")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name) or len(_decoded(encoded)) != 32:
            raise ConfigError(
                "BROADCAST_ENCRYPTION_KEYS must be id:base64 of exactly 32 bytes, comma separated."
            )
    return keys


def _secret_key(env: _Env, data_dir: Path, *, embedded: bool) -> bytes:
    text = env.text("SECRET_KEY")
    if not text and embedded:
        text = _generated(data_dir / "secret_key", _random)
    if not text:
        raise ConfigError("BROADCAST_SECRET_KEY is required with PostgreSQL: at least 32 random characters.")
    if len(text) < 32 or len(set(text)) < 8:
        raise ConfigError("BROADCAST_SECRET_KEY must be at least 32 random characters.")
    return text.encode()


def _generated(path: Path, make: Callable[[], str]) -> str:
    """Return the file's key, made on first use and readable by its owner alone.

    Two processes may start at once: each writes a file of its own, and the first to link it wins for both.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(f"{make()}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="ascii").strip()


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
