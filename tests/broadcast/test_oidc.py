"""Asking a real provider who somebody is: what is sent, what is believed, and what is not."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from joserfc.jwk import ECKey, RSAKey

from broadcast.errors import SignInRefused
from broadcast.oidc import Identity, Provider
from broadcast.oidc_settings import OidcSettings
from broadcast.outbound import Outbound
from tests.broadcast.people import PUBLIC_URL, Clock
from tests.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    HOUR_S,
    Claims,
    IdentityProvider,
    unsigned,
)

VERIFIER = "v" * 43
NONCE = "nonce of this browser"
HOUR_US = HOUR_S * 1_000_000


@dataclass
class Scene:
    there: IdentityProvider
    here: Provider
    clock: Clock

    def url(self) -> str:
        return self.here.authorization_url(state="state", nonce=NONCE, verifier=VERIFIER, now_us=self.clock())

    def answer(self) -> dict[str, str]:
        """Let a browser go there, and return what it brings back."""
        back = requests.get(self.url(), allow_redirects=False, timeout=10).headers["Location"]
        return dict(parse_qsl(urlsplit(back).query))

    def identify(self, **other: str) -> Identity:
        given = {"nonce": NONCE, "verifier": VERIFIER} | other
        return self.here.identify(self.answer(), now_us=self.clock(), **given)

    def refused(self, **other: str) -> SignInRefused:
        with pytest.raises(SignInRefused) as at:
            self.identify(**other)
        return at.value


def settings(issuer: str, secret: str = CLIENT_SECRET) -> OidcSettings:
    return OidcSettings(issuer=issuer, client_id=CLIENT_ID, client_secret=secret, name="Example ID")


@pytest.fixture
def scene() -> Iterator[Scene]:
    clock = Clock()
    with IdentityProvider(now_s=lambda: clock() // 1_000_000) as there:
        outbound = Outbound(connections=2)
        yield Scene(there, Provider(settings(there.issuer), PUBLIC_URL, outbound), clock)
        outbound.close()


# -- what is sent ------------------------------------------------------------------------------------


def test_a_browser_goes_away_with_state_nonce_and_a_challenge(scene: Scene) -> None:
    parts = urlsplit(scene.url())

    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{scene.there.issuer}/authorize"
    asked = dict(parse_qsl(parts.query))
    assert asked | {"code_challenge": "any"} == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": f"{PUBLIC_URL}/login/oidc/callback",
        "scope": "openid email",
        "state": "state",
        "nonce": NONCE,
        "code_challenge": "any",
        "code_challenge_method": "S256",
    }
    assert VERIFIER not in parts.query


@pytest.mark.parametrize(
    ("methods", "in_header"),
    [(["client_secret_basic"], True), (["client_secret_post"], False), (None, True)],
)
def test_the_secret_goes_the_way_that_the_provider_publishes(
    scene: Scene, methods: list[str] | None, in_header: bool
) -> None:
    scene.there.metadata = {"token_endpoint_auth_methods_supported": methods}

    scene.identify()

    (asked,) = [one for one in scene.there.seen if one.path == "/token"]
    assert ("authorization" in asked.headers) is in_header
    assert ("client_secret" in asked.form) is not in_header


def test_the_secret_is_in_no_text_of_ours(scene: Scene) -> None:
    assert CLIENT_SECRET not in repr(settings(scene.there.issuer))


# -- who comes back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verified", [True, "true", 1, "1"])
def test_who_the_provider_vouches_for_is_identified(scene: Scene, verified: object) -> None:
    scene.there.person = {"sub": "1001", "email": "Ada@Example.com"}
    scene.there.verified = verified

    assert scene.identify() == Identity(
        issuer=scene.there.issuer, subject="1001", email="ada@example.com", verified=True
    )
    assert "/userinfo" not in scene.there.paths()


@pytest.mark.parametrize("verified", [False, None, "false", 0, "0", "yes", [True]])
def test_an_address_counts_as_verified_only_where_the_provider_says_so(
    scene: Scene, verified: object
) -> None:
    scene.there.verified = verified

    assert scene.identify().verified is False


@pytest.mark.parametrize("email", ["", "ada", 7, "\u212aate@example.com", "a@example.com\nb@example.com"])
def test_what_is_no_plain_address_is_none(scene: Scene, email: object) -> None:
    scene.there.person = {"sub": "1001", "email": email}

    assert scene.identify().email is None


def test_an_address_that_is_not_in_the_token_is_asked_for(scene: Scene) -> None:
    scene.there.in_token = False

    found = scene.identify()

    assert (found.email, found.verified) == ("ada@example.com", True)


@pytest.mark.parametrize(
    ("flags", "verified"),
    [
        ({"xms_edov": True}, True),
        ({"xms_edov": "1"}, True),
        ({"xms_edov": False}, False),
        ({"xms_edov": True, "email_verified": False}, False),
    ],
)
def test_entra_says_by_a_name_of_its_own_that_an_address_is_verified(
    scene: Scene, flags: Claims, verified: bool
) -> None:
    scene.there.changes = {"email_verified": None} | flags

    assert scene.identify().verified is verified


def test_without_a_token_to_ask_with_nobody_is_asked(scene: Scene) -> None:
    scene.there.in_token, scene.there.gives_access = False, False

    assert scene.identify().email is None
    assert "/userinfo" not in scene.there.paths()


def test_a_flag_says_nothing_of_an_address_elsewhere(scene: Scene) -> None:
    scene.there.changes = {"email": "ada@example.com", "email_verified": None}
    scene.there.person = {"sub": "1001", "email": "other@example.com"}

    assert scene.identify().email == "other@example.com"


def test_userinfo_of_somebody_else_is_refused(scene: Scene) -> None:
    scene.there.in_token = False
    scene.there.changes = {"sub": "1002"}

    assert scene.refused().detail == "sub of the userinfo"


@pytest.mark.parametrize("answer", [(500, {}), (403, {}), (200, b"signed")])
def test_userinfo_that_cannot_be_had_is_no_address(scene: Scene, answer: tuple[int, object]) -> None:
    scene.there.in_token = False
    scene.there.answers["/userinfo"] = answer

    if answer[0] == 500:
        assert scene.refused().reason == "unreachable"
    else:
        assert scene.identify().email is None


# -- what is not believed ----------------------------------------------------------------------------

PAST_LEEWAY_S = 61


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"iss": "https://other.example.com"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another client"}, "aud"),
        ({"aud": ["another client"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": [CLIENT_ID, "another client"]}, "azp"),
        ({"azp": "another client"}, "azp"),
        ({"nonce": "nonce of another browser"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "s" * 256}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"iat": None}, "iat"),
        ({"at_hash": "of another token"}, "at_hash"),
    ],
)
def test_a_token_that_is_not_for_this_browser_is_refused(scene: Scene, changes: Claims, detail: str) -> None:
    scene.there.changes = changes

    refused = scene.refused()

    assert (refused.reason, refused.detail) == ("untrue", detail)


@pytest.mark.parametrize(("name", "off_s"), [("exp", -PAST_LEEWAY_S), ("iat", PAST_LEEWAY_S), ("nbf", 61)])
def test_a_token_of_another_time_is_refused(scene: Scene, name: str, off_s: int) -> None:
    scene.there.changes = {name: scene.there.now_s() + off_s}

    assert (scene.refused().detail) == name


def test_clocks_may_differ_by_less_than_a_minute(scene: Scene) -> None:
    scene.there.changes = {"exp": scene.there.now_s() - 59, "iat": scene.there.now_s() + 59}

    assert scene.identify().subject == "1001"


FORGERIES: dict[str, Callable[[IdentityProvider, Claims], str]] = {
    "no signature": lambda _, claims: unsigned(claims),
    "the secret of both sides": lambda there, claims: there.with_the_secret(claims),
    "another key of the same name": lambda there, claims: there.signed(claims, RSAKey.generate_key(2048)),
    "a key of its own": lambda there, claims: there.signed(
        claims, own := RSAKey.generate_key(2048), jwk=own.as_dict(private=False), kid="own"
    ),
    "an unknown key": lambda there, claims: there.signed(claims, RSAKey.generate_key(2048), kid="other"),
    "another algorithm than its key": lambda there, claims: there.signed(claims, ECKey.generate_key("P-256")),
    "a changed claim": lambda there, claims: _changed(there.signed(claims)),
    "three words": lambda _, __: "not.a.token",
    "nothing": lambda _, __: "",
}


def _changed(token: str) -> str:
    head, body, signature = token.split(".")
    plain = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).replace(b'"1001"', b'"1002"')
    return ".".join((head, base64.urlsafe_b64encode(plain).rstrip(b"=").decode(), signature))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_token_that_the_provider_did_not_sign_is_refused(scene: Scene, forgery: str) -> None:
    scene.there.forge = lambda claims: FORGERIES[forgery](scene.there, claims)

    refused = scene.refused()

    assert refused.reason == "untrue"
    assert "eyJ" not in f"{refused}{refused.detail}"


def test_a_code_without_its_proof_is_refused(scene: Scene) -> None:
    assert (scene.refused(verifier="w" * 43).reason) == "untrue"


def test_a_code_is_good_once(scene: Scene) -> None:
    answer = scene.answer()
    scene.here.identify(answer, nonce=NONCE, verifier=VERIFIER, now_us=scene.clock())

    with pytest.raises(SignInRefused) as at:
        scene.here.identify(answer, nonce=NONCE, verifier=VERIFIER, now_us=scene.clock())

    assert (at.value.reason, at.value.detail) == ("untrue", "invalid_grant")


@pytest.mark.parametrize(
    ("change", "promised", "detail"),
    [
        ({"iss": "https://other.example.com"}, False, "issuer of the answer"),
        ({"iss": ""}, True, "issuer of the answer"),
        ({"code": ""}, False, "code"),
    ],
)
def test_an_answer_of_another_issuer_or_without_a_code_is_refused(
    scene: Scene, change: dict[str, str], promised: bool, detail: str
) -> None:
    scene.there.metadata = {"authorization_response_iss_parameter_supported": promised}

    with pytest.raises(SignInRefused) as at:
        scene.here.identify(scene.answer() | change, nonce=NONCE, verifier=VERIFIER, now_us=scene.clock())

    assert at.value.detail == detail
    assert "/token" not in scene.there.paths()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", "declined"),
        ("unauthorized_client", "misconfigured"),
        ("server_error", "failed"),
        ("<script>", "failed"),
    ],
)
def test_a_refusal_of_the_provider_is_told_in_our_words(scene: Scene, error: str, reason: str) -> None:
    scene.there.refuses = error

    refused = scene.refused()

    assert refused.reason == reason
    assert "Example ID" in str(refused)
    assert "<" not in str(refused)


# -- keys change -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RSAKey, ECKey])
def test_a_provider_may_change_its_keys_at_any_time(scene: Scene, kind: type[RSAKey | ECKey]) -> None:
    scene.identify()
    scene.there.rotate(kind)
    scene.clock.now_us += 1

    assert scene.identify().subject == "1001"


def test_a_key_that_is_published_no_more_ends_within_the_hour(scene: Scene) -> None:
    old = scene.there.key
    scene.identify()
    scene.there.rotate()
    scene.there.forge = lambda claims: scene.there.signed(claims, old, kid=old.kid or "")
    scene.clock.now_us += HOUR_US

    assert scene.refused().reason == "untrue"


def test_what_is_published_is_read_once_an_hour(scene: Scene) -> None:
    for _ in range(3):
        scene.identify()
    scene.clock.now_us += HOUR_US
    scene.identify()

    assert scene.there.paths().count("/keys") == 2


def test_false_tokens_do_not_let_us_ask_for_keys_without_end(scene: Scene) -> None:
    scene.identify()
    scene.there.forge = lambda claims: scene.there.signed(claims, RSAKey.generate_key(2048))
    scene.clock.now_us += 1
    before = scene.there.paths().count("/keys")

    scene.refused()

    assert scene.there.paths().count("/keys") == before + 1


# -- the provider is down, or not what was set ----------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        ("/.well-known/openid-configuration", (404, {}), "misconfigured"),
        ("/.well-known/openid-configuration", (200, b"<html>"), "misconfigured"),
        ("/.well-known/openid-configuration", (200, {"issuer": 7}), "misconfigured"),
        ("/.well-known/openid-configuration", (503, {}), "unreachable"),
        ("/.well-known/openid-configuration", (302, {}), "misconfigured"),
        ("/keys", (404, {}), "misconfigured"),
        ("/keys", (200, b"none"), "misconfigured"),
        ("/keys", (200, {"keys": []}), "misconfigured"),
        ("/keys", (200, {"keys": [{"kty": "RSA", "n": 1}]}), "misconfigured"),
        ("/token", (401, {"error": "invalid_client"}), "misconfigured"),
        ("/token", (400, {"error": "temporarily_unavailable"}), "failed"),
        ("/token", (400, {}), "failed"),
        ("/token", (200, {}), "misconfigured"),
        ("/token", (200, b"id_token=1"), "misconfigured"),
        ("/token", (502, b"<html>"), "unreachable"),
        ("/token", (200, b" " * (2**20 + 1)), "unreachable"),
    ],
)
def test_an_answer_that_does_not_do_is_a_refusal_with_words(
    scene: Scene, path: str, answer: tuple[int, object], reason: str
) -> None:
    scene.there.answers[path] = answer

    assert scene.refused().reason == reason


def test_a_provider_of_another_name_is_not_the_one_that_was_set(scene: Scene) -> None:
    scene.there.metadata = {"issuer": f"{scene.there.issuer}/"}

    refused = scene.refused()

    assert (refused.reason, refused.detail) == (
        "misconfigured",
        f"the provider calls itself {scene.there.issuer}/",
    )


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"]
)
@pytest.mark.parametrize("url", ["http://id.example.com/x", "javascript:alert(1)", "//id.example.com"])
def test_nothing_is_asked_or_sent_without_tls(scene: Scene, name: str, url: str) -> None:
    scene.there.metadata = {name: url}

    assert (scene.refused().detail) == "an endpoint is not https"


def test_a_provider_that_is_down_is_said_to_be(scene: Scene) -> None:
    scene.there.stop()

    with pytest.raises(SignInRefused, match="Example ID does not answer this server") as at:
        scene.url()

    assert (at.value.reason, at.value.detail) == ("unreachable", "connection_failed")


def test_the_wrong_secret_is_the_operators_to_mend(scene: Scene) -> None:
    scene.here = Provider(settings(scene.there.issuer, "wrong"), PUBLIC_URL, Outbound(connections=1))

    assert (scene.refused().reason, scene.refused().detail) == ("misconfigured", "invalid_client")
