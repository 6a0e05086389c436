"""What the identity provider publishes, and every call to it.          door: authlib, joserfc.

OpenID Connect Discovery 1.0 (https://openid.net/specs/openid-connect-discovery-1_0.html, 2026-11-21).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from authlib.oidc.discovery import get_well_known_url
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from broadcast.errors import SendFailed, SignInRefused
from broadcast.oidc_settings import OidcSettings, is_provider_url
from broadcast.outbound import Outbound, Timeouts

_TIMEOUTS: Final = Timeouts(connect_s=5, headers_s=10, silence_s=10, whole_s=15)
_LARGEST_ANSWER: Final = 2**20
_KEPT_US: Final = 3_600_000_000

Answer = TypeVar("Answer", bound=msgspec.Struct)


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of itself, as far as it is used here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a provider published, and when it was read."""

    metadata: Metadata
    keys: KeySet
    at_us: int


class Discovery:
    """What one provider publishes, read again after an hour or when its keys do not fit."""

    def __init__(self, settings: OidcSettings, outbound: Outbound) -> None:
        self._issuer = settings.issuer
        self._name = settings.name
        self._outbound = outbound
        self._cached: Published | None = None

    def known(self, now_us: int) -> Published:
        """Return what the provider publishes, at most an hour old; raise `SignInRefused`."""
        cached = self._cached
        fresh = cached is not None and 0 <= now_us - cached.at_us < _KEPT_US
        return cached if cached is not None and fresh else self.renewed(now_us)

    def renewed(self, now_us: int) -> Published:
        """Return what the provider publishes now; raise `SignInRefused` where that does not do."""
        url = get_well_known_url(self._issuer, external=True)
        metadata = self.read(self._document(url), Metadata, "configuration")
        if metadata.issuer != self._issuer:
            raise self.misfit(f"the provider calls itself {metadata.issuer[:200]}")
        needed = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
        if not all(is_provider_url(url) for url in (*needed, metadata.userinfo_endpoint or self._issuer)):
            raise self.misfit("an endpoint is not https")
        try:
            keys = KeySet.import_key_set(msgspec.json.decode(self._document(metadata.jwks_uri)))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise self.misfit(f"its keys cannot be read: {type(error).__name__}") from None
        self._cached = Published(metadata=metadata, keys=keys, at_us=now_us)
        return self._cached

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of an answer; raise `SignInRefused` when there is none that counts."""
        try:
            reply = self._outbound.send(method, url, headers=headers, body=body, timeouts=_TIMEOUTS)
            try:
                answered = reply.read(_LARGEST_ANSWER)
            finally:
                reply.close()
        except SendFailed as error:
            raise self._unreachable(error.reason) from None
        if reply.status >= 500:
            raise self._unreachable(f"status {reply.status}")
        return reply.status, answered

    def read(self, body: bytes, kind: type[Answer], what: str) -> Answer:
        """Return an answer as the record it has to be; raise `SignInRefused` naming what it was to be."""
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            raise self.misfit(f"its {what} cannot be read") from None

    def misfit(self, detail: str) -> SignInRefused:
        """Return the refusal of what only the operator can mend."""
        words = (
            f"{self._name} and this server are not set up for each other. Tell the operator; the log of this "
            "server says what is wrong."
        )
        return SignInRefused("misconfigured", words, detail=detail)

    def _document(self, url: str) -> bytes:
        status, body = self.ask("GET", url, {"Accept": "application/json"})
        if status != 200:
            raise self.misfit(f"{url} answered {status}")
        return body

    def _unreachable(self, detail: str) -> SignInRefused:
        words = (
            f"{self._name} does not answer this server. Try again in a minute, or sign in with a password."
        )
        return SignInRefused("unreachable", words, detail=detail)
