"""Who is looking and what may they do: login session, CSRF, headers, trusted host, roles."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, has_app_context, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from broadcast.accounts import LoggedIn
from broadcast.activity import paused_count, workspaces_of
from broadcast.errors import Forbidden, NotFound
from broadcast.members import ROLES
from broadcast.runtime import Services
from broadcast.sign_in import MINUTES
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace
from web.notes import NOTES

View = TypeVar("View", bound=Callable[..., Any])

_SESSION: Final = "broadcast_session"
_LOGIN: Final = "broadcast_login"
_FLASH: Final = "broadcast_note"
_AWAY: Final = "broadcast_away"
_MAX_AGE_S: Final = 7 * 86_400
_AWAY_S: Final = MINUTES * 60
_TOKEN_LENGTH: Final = 43
_NOT_PAGES: Final = ("/api/", "/receiver/", "/healthz", "/readyz", "/metrics")
_MAX_FORM_BYTES: Final = 512 * 1024
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""What every answer says to a browser that gets hold of it."""


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Whoever is looking at a workspace's page."""

    user: User
    workspace: Workspace
    role: str
    others: tuple[Workspace, ...]
    paused: int

    def may(self, role: str) -> bool:
        """Return whether the viewer has at least this role."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def manages(self) -> bool:
        """Whether the viewer may change destinations, keys and settings."""
        return self.may("admin")


def services() -> Services:
    """Return what this process works with."""
    return cast("Services", current_app.extensions["broadcast"])


def viewer() -> Viewer:
    """Return whoever is looking; only inside a view made by `page`."""
    return cast("Viewer", g.viewer)


def install(app: Flask) -> None:
    """Guard every request that is not the API's, and put the headers on every answer."""
    app.before_request(_guard)
    app.after_request(_dress)
    app.jinja_env.globals.update(csrf_token=csrf_token, csp_nonce=_nonce, get_flashed=flashed)


def request_id() -> str:
    """Return what this request is called in the log, named when somebody asks: chance costs a system call."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    return cast("str", g.request_id)


def request_id_or_none() -> str | None:
    """Return the name of the request that is being answered, None between requests."""
    return request_id() if has_app_context() else None


def is_page() -> bool:
    """Return whether the request is for people, not for programs."""
    return not request.path.startswith(_NOT_PAGES)


def _guard() -> AnyResponse | None:
    if not is_page():
        return None
    if _host() not in _trusted_hosts():
        abort(
            400, "This address does not belong to this server. Set BROADCAST_PUBLIC_URL to the one you use."
        )
    request.max_content_length = _MAX_FORM_BYTES
    if request.method == "POST" and request.endpoint is not None:
        check_csrf()
    return None


def _host() -> str:
    try:
        return (urlsplit(f"//{request.headers.get('Host', '')}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _trusted_hosts() -> set[str]:
    config = services().config
    return {"localhost", "127.0.0.1", "::1", urlsplit(config.public_url).hostname or "", config.host.lower()}


# -- cookies -------------------------------------------------------------------------------------


def _secure() -> bool:
    return services().config.public_url.startswith("https://")


def _cookie(name: str) -> str:
    return f"__Host-{name}" if _secure() else name


def _set_cookie(answer: AnyResponse, name: str, value: str, max_age_s: int | None) -> None:
    answer.set_cookie(
        _cookie(name), value, max_age=max_age_s, path="/", secure=_secure(), httponly=True, samesite="Lax"
    )


def _drop_cookie(answer: AnyResponse, name: str) -> None:
    answer.delete_cookie(_cookie(name), path="/", secure=_secure(), httponly=True, samesite="Lax")


# -- session and CSRF ----------------------------------------------------------------------------


def logged_in() -> LoggedIn | None:
    """Return the live login session of this request, looked up once."""
    if "logged_in" not in g:
        token = request.cookies.get(_cookie(_SESSION), "")
        whole = len(token) == _TOKEN_LENGTH
        found = services().accounts.user_of_session(token, services().clock()) if whole else None
        g.logged_in = found
    return cast("LoggedIn | None", g.logged_in)


def begin_session(token: str, to: str) -> AnyResponse:
    """Return the answer after a log-in; the token is new, so that none planted before can be used."""
    answer = redirect(to, 303)
    _set_cookie(answer, _SESSION, token, _MAX_AGE_S)
    _drop_cookie(answer, _LOGIN)
    if _cookie(_AWAY) in request.cookies:
        _drop_cookie(answer, _AWAY)
    return answer


def browser() -> str:
    """Return the secret by which a browser that went to the identity provider is known again."""
    kept = request.cookies.get(_cookie(_AWAY), "")
    return kept if len(kept) == _TOKEN_LENGTH else secrets.token_urlsafe(32)


def send_away(url: str, known_by: str) -> AnyResponse:
    """Return the way to the identity provider, for a browser that is known again by its secret."""
    answer = redirect(url, 303)
    _set_cookie(answer, _AWAY, known_by, _AWAY_S)
    return answer


def end_session() -> AnyResponse:
    """Return the answer that ends the login session here and in the database."""
    token = request.cookies.get(_cookie(_SESSION))
    if token:
        services().accounts.log_out(token)
    answer = redirect(url_for("login.page"), 303)
    _drop_cookie(answer, _SESSION)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


def csrf_token() -> str:
    """Return what this page's forms must carry: the session's own, before a log-in a cookie's."""
    session = logged_in()
    if session is not None:
        return session.csrf
    if "login_token" not in g:
        g.login_token = request.cookies.get(_cookie(_LOGIN)) or secrets.token_urlsafe(32)
    return cast("str", g.login_token)


def from_elsewhere() -> bool:
    """Return whether another site sent this request, as far as the browser says."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}


def is_visit() -> bool:
    """Return whether a person goes to this address, not a page for an image, as far as the browser says."""
    return request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


def check_csrf() -> None:
    """Refuse a form that did not come from one of our pages."""
    session = logged_in()
    expected = session.csrf if session else request.cookies.get(_cookie(_LOGIN), "")
    given = request.form.get("csrf_token") or request.headers.get("X-CSRF-Token") or ""
    if from_elsewhere() or not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        abort(400, "This page was open for too long. Go back, reload it and try again.")


def flash(answer: AnyResponse, words: str) -> AnyResponse:
    """Let the next page say one sentence; one of ours, chosen by its name, never text from elsewhere."""
    _set_cookie(answer, _FLASH, words, 60)
    return answer


def flashed() -> list[str]:
    """Return the sentences the last action left for this page."""
    name = request.cookies.get(_cookie(_FLASH), "")
    g.flash_shown = bool(name)
    return [NOTES[name]] if name in NOTES else []


# -- roles ---------------------------------------------------------------------------------------


def page(role: str = "viewer") -> Callable[[View], View]:
    """Make a view need a login and a role in the workspace of its address; strangers see a 404."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(slug: str, **values: Any) -> Any:
            session = logged_in()
            if session is None:
                return to_login()
            g.viewer = _look(session.user, slug)
            if not g.viewer.may(role):
                raise Forbidden(f"This needs the role {role}; yours is {g.viewer.role}.")
            return view(**values)

        guarded.needs_role = role  # type: ignore[attr-defined]  # read by the test that enumerates routes
        return cast("View", guarded)

    return decorate


def signed_in(view: View) -> View:
    """Make a view that belongs to no workspace need a login."""

    @wraps(view)
    def guarded(**values: Any) -> Any:
        return to_login() if logged_in() is None else view(**values)

    return cast("View", guarded)


def session() -> LoggedIn:
    """Return the login session; only inside a view that needs one."""
    return cast("LoggedIn", logged_in())


def to_login() -> AnyResponse:
    """Return the way to the login, and from there back to what was asked for."""
    target = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("login.page", next=target or None), 303)


def _look(user: User, slug: str) -> Viewer:
    mine = workspaces_of(services().store, user.id)
    for workspace, role in mine:
        if workspace.slug == slug:
            others = tuple(other for other, _ in mine if other.id != workspace.id)
            paused = paused_count(services().store, workspace.id)
            return Viewer(user=user, workspace=workspace, role=role, others=others, paused=paused)
    raise NotFound("There is no such workspace.")


# -- headers -------------------------------------------------------------------------------------


def _nonce() -> str:
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return cast("str", g.nonce)


def _dress(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if not is_page():
        return answer
    answer.headers["Content-Security-Policy"] = _POLICY.format(nonce=_nonce())
    if _secure():
        answer.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint != "static":
        answer.headers["Cache-Control"] = "no-store"
    if "login_token" in g:
        _set_cookie(answer, _LOGIN, g.login_token, 3600)
    if g.get("flash_shown"):
        _drop_cookie(answer, _FLASH)
    return answer
