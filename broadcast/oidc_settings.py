"""Which identity provider people may sign in with, as the operator's variables say."""

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from broadcast.errors import ConfigError
from broadcast.mail import is_this_machine

CALLBACK: Final = "/login/oidc/callback"
"""Where the provider sends people back to, below the public address."""
_PREFIX: Final = "BROADCAST_OIDC_"
_LONGEST_NAME: Final = 40
_ISSUER_FORM: Final = (
    f"{_PREFIX}ISSUER must be like https://id.example.com/realms/staff, exactly as the provider calls "
    "itself, without query and fragment."
)


@dataclass(frozen=True, kw_only=True)
class OidcSettings:
    """The provider's issuer, what this server is called there, and what people call the provider."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str

    @classmethod
    def parse(cls, *, issuer: str, client_id: str, client_secret: str, name: str) -> Self | None:
        """Return the settings, None where none is set; raise `ConfigError` naming the variable at fault."""
        needed = {"ISSUER": issuer, "CLIENT_ID": client_id, "CLIENT_SECRET": client_secret}
        given = [_PREFIX + short for short, value in {**needed, "NAME": name}.items() if value]
        if not given:
            return None
        for short, value in needed.items():
            if not value:
                raise ConfigError(
                    f"{_PREFIX}{short} is missing beside {given[0]}. Set it, or remove the others."
                )
            if not re.fullmatch(r"[!-~]+", value):
                raise ConfigError(f"{_PREFIX}{short} must be ASCII characters without spaces.")
        if not is_provider_url(issuer) or {"?", "#"} & set(issuer):
            raise ConfigError(_ISSUER_FORM)
        shown = name or urlsplit(issuer).hostname or ""
        if len(shown) > _LONGEST_NAME or not shown.isprintable():
            raise ConfigError(f"{_PREFIX}NAME must be at most {_LONGEST_NAME} printable characters.")
        return cls(issuer=issuer, client_id=client_id, client_secret=client_secret, name=shown)


def is_provider_url(url: str) -> bool:
    """Return whether a provider may be asked at this address: by https, or on this machine itself."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(host))
