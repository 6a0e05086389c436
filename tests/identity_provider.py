"""A real OpenID provider on loopback, which lies only where a test tells it to.

It checks what a provider has to check: the client, the redirect address, the code (once) and its PKCE proof.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, JWKRegistry, Key, KeySet, OctKey, RSAKey

CLIENT_ID = "broadcast"
CLIENT_SECRET = "of+both/sides:100%25="
HOUR_S = 3600

Claims = dict[str, Any]


def unsigned(claims: Claims) -> str:
    """Return a token that says it needs no signature."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(_base64(json.dumps(part).encode()) for part in parts) + "."


@cache
def first_key() -> Key:
    """Return the key that every provider begins with: making one takes longer than most tests."""
    return RSAKey.generate_key(2048, {"kid": "first"})


@dataclass
class Away:
    """What a client asked for when it sent a browser here."""

    nonce: str
    challenge: str
    redirect_uri: str


@dataclass
class Seen:
    """One request that came here."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


@dataclass(kw_only=True)
class IdentityProvider:
    """The provider, and whoever signs in there; `now_s` is its clock."""

    now_s: Callable[[], int]
    client_secret: str = CLIENT_SECRET
    person: Claims = field(default_factory=lambda: {"sub": "1001", "email": "ada@example.com"})
    verified: Any = True
    changes: Claims = field(default_factory=dict)
    """Claims of the ID token that are other than they should be; None leaves one out."""
    forge: Callable[[Claims], str] | None = None
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    metadata: Claims = field(default_factory=dict)
    refuses: str = ""
    gives_access: bool = True
    in_token: bool = True
    """Whether the address is in the ID token, or only at the userinfo endpoint."""
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = first_key()
        self._codes: dict[str, Away] = {}
        self._tokens: set[str] = set()

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Go away, as a provider does that is down."""
        self._server.shutdown()
        self._server.server_close()

    def rotate(self, kind: type[RSAKey | ECKey] = RSAKey) -> None:
        """Sign with a new key from now on, and publish that one alone."""
        sizes: dict[type[RSAKey | ECKey], int | str] = {RSAKey: 2048, ECKey: "P-256"}
        self.key = JWKRegistry.generate_key(kind.key_type, sizes[kind], {"kid": secrets.token_hex(4)})

    def signed(self, claims: Claims, key: Key | None = None, alg: str = "", **header: Any) -> str:
        """Return a token with a signature of this provider, or of whoever's key is given."""
        key = key or self.key
        alg = alg or {"RSA": "RS256", "EC": "ES256", "oct": "HS256"}[key.key_type]
        return jwt.encode({"alg": alg, "kid": self.key.kid or "", **header}, claims, key, algorithms=[alg])

    def with_the_secret(self, claims: Claims) -> str:
        """Return a token that is signed by what both sides know."""
        return self.signed(claims, OctKey.import_key(self.client_secret))

    def paths(self) -> list[str]:
        """Return what was asked for, in order."""
        return [one.path for one in self.seen]

    # -- the endpoints -------------------------------------------------------------------------------

    def configuration(self) -> Claims:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
        return {name: value for name, value in (found | self.metadata).items() if value is not None}

    def keys(self) -> Any:
        return KeySet([self.key]).as_dict()

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where a browser goes back to."""
        assert asked["client_id"] == CLIENT_ID, asked
        assert asked["response_type"] == "code", asked
        assert asked["code_challenge_method"] == "S256", asked
        assert {"openid", "email"} <= set(asked["scope"].split()), asked
        back = {"state": asked["state"], "iss": self.issuer}
        if self.refuses:
            return f"{asked['redirect_uri']}?{urlencode(back | {'error': self.refuses})}"
        code = secrets.token_urlsafe()
        self._codes[code] = Away(asked["nonce"], asked["code_challenge"], asked["redirect_uri"])
        return f"{asked['redirect_uri']}?{urlencode(back | {'code': code})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, Claims]:
        basic = base64.b64encode(f"{CLIENT_ID}:{quote_plus(self.client_secret)}".encode()).decode()
        told = (form.get("client_id"), form.get("client_secret"))
        if authorization != f"Basic {basic}" and told != (CLIENT_ID, self.client_secret):
            return 401, {"error": "invalid_client"}
        away = self._codes.pop(form.get("code", ""), None)
        if away is None or form.get("redirect_uri") != away.redirect_uri:
            return 400, {"error": "invalid_grant"}
        if _base64(hashlib.sha256(form.get("code_verifier", "").encode()).digest()) != away.challenge:
            return 400, {"error": "invalid_grant", "error_description": "PKCE verification failed"}
        access = secrets.token_urlsafe()
        self._tokens.add(access)
        claims = {
            "iss": self.issuer,
            "sub": self.person["sub"],
            "aud": CLIENT_ID,
            "iat": self.now_s(),
            "exp": self.now_s() + HOUR_S,
            "nonce": away.nonce,
            "at_hash": _base64(hashlib.sha256(access.encode()).digest()[:16]),
            **(self.profile() if self.in_token else {}),
            **self.changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        id_token = self.forge(claims) if self.forge else self.signed(claims)
        given = {"access_token": access} if self.gives_access else {}
        return 200, {**given, "token_type": "Bearer", "expires_in": 60, "id_token": id_token}

    def userinfo(self, authorization: str) -> tuple[int, Claims]:
        if authorization.removeprefix("Bearer ") not in self._tokens:
            return 401, {"error": "invalid_token"}
        return 200, self.profile()

    def profile(self) -> Claims:
        known = {} if self.verified is None else {"email_verified": self.verified}
        return self.person | (known if "email" in self.person else {})


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _handler(provider: IdentityProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self._noted()
            if asked.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(asked.form))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answers: dict[str, Callable[[], tuple[int, Any]]] = {
                "/.well-known/openid-configuration": lambda: (200, provider.configuration()),
                "/keys": lambda: (200, provider.keys()),
                "/userinfo": lambda: provider.userinfo(self.headers.get("Authorization", "")),
            }
            self._say(asked.path, answers.get(asked.path, lambda: (404, {})))

        def do_POST(self) -> None:
            asked = self._noted()
            self._say(asked.path, lambda: provider.token(asked.form, self.headers.get("Authorization", "")))

        def log_message(self, *_: object) -> None:
            pass

        def _noted(self) -> Seen:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            form = dict(parse_qsl(body if self.command == "POST" else parts.query))
            seen = Seen(self.command, parts.path, {k.lower(): v for k, v in self.headers.items()}, form)
            provider.seen.append(seen)
            return seen

        def _say(self, path: str, answer: Callable[[], tuple[int, Any]]) -> None:
            status, said = provider.answers.get(path) or answer()
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
