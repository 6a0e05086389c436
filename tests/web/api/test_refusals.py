"""Every route of the API, walked: nobody without a key, no management with a sender's, one form of error."""

import re
from typing import Any, Final

import pytest
from werkzeug.routing import Rule

from tests.web.api.conftest import Api

BASE: Final = "/api/v1/"
SENDING: Final = re.compile(
    r"/api/v1/(chat/completions|messages.*|responses|embeddings|models.*|generation.*|receipts.*|otlp/.*"
    r"|model/.*|key|usage|requests.*)"
)
"""What a key that sends may ask for; everything else manages."""


def routes(http: Api) -> list[tuple[str, str]]:
    """Return method and path of every route, with a name that nothing has in place of each variable."""
    found = [("POST", f"{BASE}receipts")]
    for rule in http.app.url_map.iter_rules():
        if rule.rule.startswith(BASE):
            found += [(method, _path(rule)) for method in sorted(_methods(rule))]
    return found


def _methods(rule: Rule) -> set[str]:
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def _path(rule: Rule) -> str:
    return re.sub(r"<[^>]+>", "nothing", rule.rule)


def error_of(answer: Any) -> dict[str, Any]:
    """Return the error of an answer, whose form is the same for all."""
    error: dict[str, Any] = answer.get_json(force=True)["error"]
    assert (type(error["code"]), error["code"]) == (int, answer.status_code)
    assert error["message"].endswith((".", "..."))
    assert re.fullmatch(r"[a-z_]+", error["metadata"]["reason"])
    return error


def test_there_are_routes_to_walk(http: Api) -> None:
    assert len(routes(http)) > 40


def test_nobody_is_let_in_without_a_key(http: Api) -> None:
    for method, path in routes(http):
        for key in (None, "nonsense", "sk-" + "x" * 43):
            answer = http.call(method, path, key=key, body={})
            assert answer.status_code == 401, (method, path)
            assert error_of(answer)["metadata"]["reason"] == "unauthorized"
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_that_sends_manages_nothing(http: Api) -> None:
    for method, path in routes(http):
        answer = http.call(method, path, key=http.api_key, body={})
        if SENDING.fullmatch(path):
            assert answer.status_code not in {401, 403, 500}, (method, path)
        else:
            assert answer.status_code == 403, (method, path)
            assert error_of(answer)["metadata"]["reason"] == "management_key_required"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"{", 400, "not_json"),
        (b"[]", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b"\xff\xfe", 400, "not_json"),
        (b"[" * 100_000, 400, "not_json"),
        (b'{"name": "' + b"x" * 2**20 + b'"}', 413, "too_large"),
    ],
)
def test_a_body_that_is_none_is_refused_by_every_route_that_takes_one(
    http: Api, data: bytes, status: int, reason: str
) -> None:
    for path in ("keys", "workspaces", "observability/destinations", "observability/destinations/test"):
        answer = http.call("POST", BASE + path, key=http.management_key, data=data)
        assert answer.status_code == status, path
        assert error_of(answer)["metadata"]["reason"] == reason


def test_nothing_is_told_of_what_does_not_exist(http: Api) -> None:
    for method, path in routes(http):
        if "nothing" in path:
            answer = http.call(method, path, key=http.management_key, body={})
            assert answer.status_code in {404, 422}, (method, path)
            error_of(answer)
