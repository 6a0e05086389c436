"""Ask the operator's identity provider who somebody is.          door: authlib, joserfc.

OpenID Connect: the authorization code flow with PKCE, from OpenID Connect Core 1.0 and Discovery 1.0
(https://openid.net/specs/openid-connect-core-1_0.html, 2026-11-21). What a token says counts only once its
signature, issuer, audience, nonce and time hold; the provider's own words and its tokens are never kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, InvalidKeyTypeError, JoseError

from broadcast.errors import SignInRefused
from broadcast.mail import is_address
from broadcast.oidc_discovery import Discovery, Metadata
from broadcast.oidc_settings import CALLBACK, OidcSettings
from broadcast.outbound import Outbound

# What only the provider can sign: never `none`, and never a secret that both sides know.
_ALGORITHMS: Final = tuple(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512))
_LEEWAY_S: Final = 60
# The standard's own flag, and Microsoft Entra ID's, which sends it alone
# (https://learn.microsoft.com/en-us/entra/identity-platform/optional-claims-reference, 2026-11-21).
_STANDARD, _ENTRA = "email_verified", "xms_edov"
_VERIFIED: Final = {_STANDARD, _ENTRA}
# Some providers write what is true as a text or a number.
_TRUE: Final = (True, "true", "1")
_LONGEST_SUBJECT: Final = 255
_BASIC: Final = "client_secret_basic"
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who somebody is at the provider; `verified` says whether the provider has proved the address."""

    issuer: str
    subject: str
    email: str | None
    verified: bool


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    id_token: str
    access_token: str | None = None


class _Problem(msgspec.Struct, frozen=True):
    error: str = ""


class Provider:
    """The operator's identity provider, and this server's place at it."""

    def __init__(self, settings: OidcSettings, public_url: str, outbound: Outbound) -> None:
        self.issuer = settings.issuer
        self.name = settings.name
        self.redirect_uri = f"{public_url}{CALLBACK}"
        self._settings = settings
        self._discovery = Discovery(settings, outbound)

    def check(self, now_us: int) -> None:
        """Read what the provider publishes; raise `SignInRefused` where that does not do."""
        self._discovery.renewed(now_us)

    def authorization_url(self, *, state: str, nonce: str, verifier: str, now_us: int) -> str:
        """Return where a browser goes to sign in."""
        url: str = prepare_grant_uri(
            self._discovery.known(now_us).metadata.authorization_endpoint,
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=self.redirect_uri,
            scope="openid email",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return url

    def identify(self, answer: Mapping[str, str], *, nonce: str, verifier: str, now_us: int) -> Identity:
        """Return who came back with this answer; raise `SignInRefused` unless the provider vouches for it."""
        metadata = self._discovery.known(now_us).metadata
        self._check_answer(answer, metadata)
        tokens = self._exchange(answer["code"], verifier, metadata)
        claims = self._checked(tokens, nonce, now_us)
        told = claims
        url = metadata.userinfo_endpoint
        if url and tokens.access_token and not ("email" in claims and _VERIFIED & claims.keys()):
            # Both of one source: a flag says nothing of an address that stands elsewhere.
            told = self._userinfo(url, tokens.access_token, claims["sub"])
        email = told.get("email")
        # ASCII alone, since other letters can become these when they are made small.
        usable = isinstance(email, str) and is_address(email)
        return Identity(
            issuer=self.issuer,
            subject=claims["sub"],
            email=str(email).lower() if usable else None,
            verified=told.get(_STANDARD, told.get(_ENTRA)) in _TRUE,
        )

    # -- the answer, and the code in it --------------------------------------------------------------

    def _check_answer(self, answer: Mapping[str, str], metadata: Metadata) -> None:
        """Refuse an answer without a code, and one that names another issuer (RFC 9207)."""
        if error := answer.get("error", ""):
            if error == "access_denied":
                raise SignInRefused(
                    "declined",
                    f"{self.name} did not let you in, or you chose not to go on. Start again, or ask its "
                    "administrator.",
                )
            raise self._failed(error)
        issuer = answer.get("iss")
        if issuer != self.issuer and (issuer or metadata.authorization_response_iss_parameter_supported):
            raise self._untrue("issuer of the answer")
        if not answer.get("code"):
            raise self._untrue("code")

    def _exchange(self, code: str, verifier: str, metadata: Metadata) -> _Tokens:
        """Return the tokens that a code is good for, once."""
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=self.redirect_uri, code_verifier=verifier
        )
        headers = {"Content-Type": _FORM, "Accept": "application/json"}
        auth = self._client_auth(metadata.token_endpoint_auth_methods_supported)
        url, headers, body = auth.prepare("POST", metadata.token_endpoint, headers, body)
        status, answered = self._discovery.ask("POST", url, headers, body.encode())
        if status >= 400:
            raise self._failed(self._discovery.read(answered, _Problem, "refusal").error)
        return self._discovery.read(answered, _Tokens, "token endpoint's answer")

    def _client_auth(self, known: tuple[str, ...]) -> ClientAuth:
        """Return what proves to the provider that this server asks."""
        client = (self._settings.client_id, self._settings.client_secret)
        if _BASIC in known:
            # The library leaves to its caller that both are percent-encoded first (RFC 6749, 2.3.1).
            return ClientAuth(*map(quote_plus, client), _BASIC)
        return ClientAuth(*client, "client_secret_post")

    # -- what the tokens say -------------------------------------------------------------------------

    def _checked(self, tokens: _Tokens, nonce: str, now_us: int) -> dict[str, Any]:
        """Return the claims of an ID token that was signed for us, now, and for this browser."""
        try:
            token = self._verified(tokens.id_token, now_us)
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                    "sub": {"essential": True},
                },
                {
                    "nonce": nonce,
                    "client_id": self._settings.client_id,
                    "access_token": tokens.access_token,
                },
            )
            claims.validate(now_us // 1_000_000, _LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            # The library's words can repeat the token; a claim's name and the kind cannot.
            raise self._untrue(getattr(error, "claim", None) or type(error).__name__) from None
        if len(claims["sub"]) > _LONGEST_SUBJECT:
            raise self._untrue("sub")
        return dict(claims)

    def _verified(self, id_token: str, now_us: int) -> jwt.Token:
        """Return a token whose signature holds, with keys read anew where the known ones do not fit."""
        known = self._discovery.known(now_us)
        try:
            return jwt.decode(id_token, known.keys, algorithms=_ALGORITHMS)
        except (InvalidKeyIdError, InvalidKeyTypeError, BadSignatureError):
            # The provider may have changed its keys since they were read.
            if known.at_us == now_us:
                raise
        return jwt.decode(id_token, self._discovery.renewed(now_us).keys, algorithms=_ALGORITHMS)

    def _userinfo(self, url: str, access_token: str, subject: str) -> dict[str, Any]:
        """Return what the provider tells of somebody beside the ID token."""
        status, body = self._discovery.ask(
            "GET", url, {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        )
        try:
            told = msgspec.json.decode(body, type=dict[str, Any]) if status == 200 else {}
        except msgspec.DecodeError:
            told = {}
        if told and told.get("sub") != subject:
            raise self._untrue("sub of the userinfo")
        return told

    def _untrue(self, what: str) -> SignInRefused:
        words = f"What {self.name} answered does not hold, so nobody was signed in. Start again."
        return SignInRefused("untrue", words, detail=what)

    def _failed(self, error: str) -> SignInRefused:
        """Return what an error code of the provider means; only a word of ours or of the standard is kept."""
        if error == "invalid_grant":
            return SignInRefused(
                "untrue",
                f"{self.name} takes each answer once, and for a short time. Start again.",
                detail=error,
            )
        if error in {"invalid_client", "unauthorized_client", "invalid_request", "unsupported_response_type"}:
            return self._discovery.misfit(error)
        kept = error if error.isascii() and error.isidentifier() and len(error) <= 40 else "an error"
        words = f"{self.name} could not sign you in: “{kept}”. Start again, or ask its administrator."
        return SignInRefused("failed", words, detail=kept)
