"""Pages and HTTP API over the use cases; holds no query and no commit.

security    login session, CSRF, headers, who may
forms       declaration -> form
formats     numbers and instants as people read them
zones       the zone a page says its times in
receiver    the demo's own OTLP receiver
pages/      one blueprint a page
api/        the HTTP API
"""

import hashlib
import importlib
import logging
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from flask import Flask, Response, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from broadcast import activity as reads
from broadcast import errors
from broadcast.runtime import Services
from broadcast.store.workspaces import Workspace
from web import formats, receiver, security, zones
from web.pages import (
    activity,
    audit,
    destination,
    destination_form,
    destination_receipts,
    join,
    keys,
    login,
    members,
    new_workspace,
    observability,
    password,
    replay,
    sign_in,
    times,
    workspace,
)
from web.pages import receiver as receiver_page
from web.pages import request as request_page

_log: Final = logging.getLogger(__name__)
_YEAR_S: Final = 31_536_000
_FORMATS: Final = (
    *("iso", "duration", "percentile", "wait", "millis", "money", "request_money"),
    *("count", "sequence", "size", "percent", "rate", "source"),
)
_STATUSES: Final[dict[type[errors.BroadcastError], int]] = {
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.Unavailable: 503,
    errors.TooManyRequests: 429,
}
_HEADINGS: Final = {
    400: "This request was not understood",
    403: "Not allowed",
    404: "Not found",
    405: "Not found",
    409: "Changed meanwhile",
    413: "Too large",
    429: "Too many tries",
    503: "Could not load this",
}


def create_app(services: Services) -> Flask:
    """Return the whole web application."""
    app = Flask(__name__)
    app.extensions["broadcast"] = services
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    security.install(app)
    _words(app, services)
    _static(app)
    pages = (login, observability, destination_form, destination, keys, workspace, activity, times)
    people = (members, join, password, new_workspace, audit)
    for module in (*pages, *people, request_page, replay, destination_receipts, receiver_page, receiver):
        app.register_blueprint(module.blueprint)
    if services.sign_ins is not None:
        app.register_blueprint(sign_in.blueprint)
    _errors(app)
    register_api = getattr(importlib.import_module("web.api"), "register", None)
    if register_api is not None:
        register_api(app, services)
    return app


def _words(app: Flask, services: Services) -> None:
    """Give templates the words for numbers and instants; "now" is the request's own."""

    def now_us() -> int:
        if "now_us" not in g:
            g.now_us = services.clock()
        return int(g.now_us)

    app.jinja_env.filters.update(
        clock=lambda at_us: formats.clock(at_us, now_us(), zones.zone()),
        ago=lambda at_us: formats.ago(at_us, now_us(), zones.zone()),
        day=lambda at_us: formats.day(at_us, zones.zone()),
        exact=lambda at_us: formats.exact(at_us, zones.zone()),
        zoned=lambda at_us: f"{formats.local(at_us, zones.zone()):%Z}",
        **{name: getattr(formats, name) for name in _FORMATS},
    )
    app.jinja_env.globals.update(
        version=_version(),
        plural=formats.plural,
        run=formats.run,
        zone_name=zones.name,
        other_workspaces=lambda: _other_workspaces(services),
        receiver_offered=lambda: services.config.demo,
        config_of=lambda: services.config,
        sign_in_name=lambda: services.sign_ins.name if services.sign_ins else None,
    )


def _other_workspaces(services: Services) -> list[tuple[Workspace, int]]:
    """Return the viewer's other workspaces with how many destinations wait for a person, problems first."""
    others = security.viewer().others
    counted = [(other, reads.paused_count(services.store, other.id)) for other in others]
    return sorted(counted, key=lambda item: item[1] == 0)


def _version() -> str:
    try:
        return installed("llm-broadcast")
    except PackageNotFoundError:
        return "1.0.0"


def _static(app: Flask) -> None:
    """Name each static file by its content, so that browsers keep it for a year and never show an old one."""
    folder = Path(str(app.static_folder))
    marks = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in folder.iterdir()
        if path.is_file()
    }

    def asset(name: str) -> str:
        return url_for("static", filename=name, v=marks[name])

    @app.after_request
    def keep(answer: Response) -> Response:
        if request.endpoint == "static" and answer.status_code in {200, 304}:
            known = request.args.get("v") == marks.get((request.view_args or {}).get("filename", ""))
            answer.headers["Cache-Control"] = (
                f"public, max-age={_YEAR_S}, immutable" if known else "public, max-age=3600"
            )
        return answer

    app.jinja_env.globals.update(asset=asset)


def _errors(app: Flask) -> None:
    @app.errorhandler(errors.BroadcastError)
    def ours(error: errors.BroadcastError) -> ResponseReturnValue:
        status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 422)
        return problem(status, str(error), getattr(error, "retry_after_s", None))

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        if error.code is None or error.code < 400:
            return error
        words = {404: "There is nothing at this address.", 405: "There is nothing at this address."}
        return problem(error.code, words.get(error.code, error.description or ""))

    @app.errorhandler(Exception)
    def fault(error: Exception) -> ResponseReturnValue:
        # Not the address: a link that opens something holds its secret there.
        route = request.url_rule.rule if request.url_rule else "none"
        _log.error("action=page_failed route=%s", route, exc_info=error)
        return problem(500, "Nothing was changed. Try again.")


def problem(status: int, words: str, retry_after_s: int | None = None) -> ResponseReturnValue:
    """Return what went wrong: a page for people, the API's object for programs."""
    if security.is_page():
        answer = Response(
            render_template(
                "problem.html",
                heading=_HEADINGS.get(status, "Could not load this"),
                words=words,
                request_id=security.request_id() if status >= 500 else None,
            ),
            status,
        )
    else:
        answer = jsonify(error={"code": status, "message": words})
        answer.status_code = status
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer
