"""What holds for every page there is: the application's own map of addresses says which those are."""

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from broadcast.members import ROLES
from broadcast.runtime import Services
from broadcast.store import keys, users
from broadcast.store.users import User
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, csrf, member, open_workspace
from tests.web.pages.test_pages import add_collector
from tests.web.pages.well_made import faults, skips_to_the_page

NOT_PAGES = ("/api/", "/receiver/", "/healthz", "/readyz", "/metrics", "/static/")
# Addresses that say more with a question.
QUESTIONS = {"destination_receipts.page": "?fate=pending", "replay.page": "?what=day&include_delivered=1"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A workspace with something on every page, and a value for each part of an address."""

    pages: Pages
    values: dict[str, Any]

    def rules(self, method: str) -> list[Rule]:
        """Return every address of people's pages that takes a method."""
        return [
            rule
            for rule in self.pages.app.url_map.iter_rules()
            if method in (rule.methods or ()) and not rule.rule.startswith(NOT_PAGES)
        ]

    def inside(self, method: str) -> list[Rule]:
        """Return those that belong to a workspace."""
        return [rule for rule in self.rules(method) if "slug" in rule.arguments]

    def at(self, rule: Rule) -> str:
        """Return an address with values in it; a part that has none here is a page nobody looks at."""
        built = rule.build({name: self.values[name] for name in rule.arguments})
        assert built is not None, rule.rule
        return built[1] + QUESTIONS.get(str(rule.endpoint), "")

    def needs(self, rule: Rule) -> str | None:
        """Return the role that a view says it needs."""
        return getattr(self.pages.app.view_functions[rule.endpoint], "needs_role", None)


def links_of(pages: Pages) -> dict[str, str]:
    """Give the workspace a second member, an open invitation and a reset, and return what names them."""
    services = pages.services
    member(pages, "viewer")
    with services.store.read() as conn:
        owner, viewer = (user for user, _ in sorted(users.members(conn, pages.workspace.id), key=by_role))
    made = services.invitations.invite(pages.workspace, owner, email="new@example.com", role="member")
    return {
        "member_uid": viewer.uid,
        "invitation_uid": made.invitation.uid,
        "invite_token": made.link.rsplit("/", 1)[-1],
        "reset_token": services.passwords.link_for(owner.email).link.rsplit("/", 1)[-1],
    }


def by_role(found: tuple[User, str]) -> str:
    return found[1]


def key_of(pages: Pages) -> str:
    """Make a key that can be looked at, and return its hash."""
    pages.post("/settings/keys", {"name": "laptop", "kind": "api"})
    with pages.services.store.read() as conn:
        return keys.list_for(conn, pages.workspace.id)[0].hash


@pytest.fixture(scope="module")
def scene(app: Flask, services: Services) -> Scene:
    return furnished(open_workspace(app, services))


def furnished(pages: Pages) -> Scene:
    """Put something on every page of a workspace."""
    with Receiver() as receiver:
        uid = add_collector(pages, receiver.url("/ok")).rsplit("/", 1)[-1]
    pages.post("/settings/observability/switch", {"enabled": "on"})
    receipt_id = pages.send()
    values = {
        "slug": pages.workspace.slug,
        "uid": uid,
        "receipt_id": receipt_id,
        "type_slug": "otel-collector",
        "name": "grafana-dashboard.json",
        "key_hash": key_of(pages),
        "replay_uid": "00000000-0000-4000-8000-000000000000",
        **links_of(pages),
    }
    return Scene(pages=pages, values=values)


def is_html(answer: TestResponse) -> bool:
    return answer.content_type.startswith("text/html") and answer.status_code not in {301, 302, 303}


def post(client: FlaskClient, path: str, token: str) -> TestResponse:
    return client.post(path, data={"csrf_token": token})


def test_every_page_is_well_made(scene: Scene) -> None:
    found = {}
    for rule in scene.rules("GET"):
        answer = scene.pages.client.get(scene.at(rule))
        assert answer.status_code in {200, 303}, (rule.rule, answer.status_code)
        if is_html(answer):
            wrong = faults(answer.text)
            if "slug" in rule.arguments and not skips_to_the_page(answer.text):
                wrong.append("no link past its frame")
            found[rule.rule] = wrong
    assert {rule: wrong for rule, wrong in found.items() if wrong} == {}
    assert len(found) > 10


def test_no_parameter_of_an_address_is_taken_for_a_part_of_it(scene: Scene) -> None:
    names = ("slug", "uid", "endpoint", "_method", "_external", "_scheme", "_anchor", "values", "self")
    found = {
        rule.rule: scene.pages.client.get(
            scene.at(rule).partition("?")[0], query_string=dict.fromkeys(names, "x")
        ).status_code
        for rule in scene.rules("GET")
    }
    assert {rule: status for rule, status in found.items() if status not in {200, 303}} == {}


def test_every_page_before_a_login_is_well_made(scene: Scene) -> None:
    client = scene.pages.app.test_client()
    outside = [rule for rule in scene.rules("GET") if "slug" not in rule.arguments]
    answers = {rule.rule: client.get(scene.at(rule)) for rule in outside}
    pages = {rule: faults(answer.text) for rule, answer in answers.items() if is_html(answer)}
    assert {rule: wrong for rule, wrong in pages.items() if wrong} == {}
    assert pages.keys() == {"/login", "/reset", "/reset/<reset_token>", "/join/<invite_token>"}


def test_a_page_that_says_no_is_well_made_too(scene: Scene) -> None:
    for path in ("/nothing-here", scene.pages.at("/activity/unknown")):
        answer = scene.pages.client.get(path)
        assert answer.status_code == 404
        assert faults(answer.text) == []


def test_every_page_of_a_workspace_asks_for_a_role(scene: Scene) -> None:
    asked = {rule.rule: scene.needs(rule) for rule in (*scene.inside("GET"), *scene.inside("POST"))}
    assert {rule for rule, role in asked.items() if role not in ROLES} == set()


def test_no_stranger_sees_a_page_of_a_workspace(scene: Scene) -> None:
    client = scene.pages.app.test_client()
    answers = {rule.rule: client.get(scene.at(rule)) for rule in scene.inside("GET")}
    assert {rule for rule, answer in answers.items() if answer.status_code != 303} == set()
    assert {rule for rule, answer in answers.items() if not answer.location.startswith("/login")} == set()


def test_another_workspace_does_not_exist_for_its_outsiders(
    scene: Scene, app: Flask, services: Services
) -> None:
    other = open_workspace(app, services)
    token = csrf(other.get("/settings/workspace"))
    seen = {rule.rule: other.client.get(scene.at(rule)).status_code for rule in scene.inside("GET")}
    changed = {rule.rule: post(other.client, scene.at(rule), token) for rule in scene.inside("POST")}
    assert {rule for rule, status in seen.items() if status != 404} == set()
    assert {rule for rule, answer in changed.items() if answer.status_code != 404} == set()


def test_another_workspaces_things_do_not_exist_in_ones_own(
    scene: Scene, app: Flask, services: Services
) -> None:
    other = open_workspace(app, services)
    own = Scene(pages=other, values={**scene.values, "slug": other.workspace.slug})
    things = {"uid", "receipt_id", "member_uid", "key_hash"}
    rules = [rule for rule in own.inside("GET") if things & rule.arguments]
    seen = {rule.rule: other.client.get(own.at(rule)).status_code for rule in rules}
    assert rules
    assert {rule for rule, status in seen.items() if status != 404} == set()


@pytest.mark.parametrize("role", ["viewer", "member"])
def test_a_page_that_needs_a_higher_role_refuses_a_lower_one(scene: Scene, role: str) -> None:
    client = member(scene.pages, role)
    token = csrf(client.get("/settings/times"))

    def too_high(rule: Rule) -> bool:
        return ROLES.index(scene.needs(rule) or "viewer") > ROLES.index(role)

    seen = {
        rule.rule: client.client.get(scene.at(rule)).status_code
        for rule in scene.inside("GET")
        if too_high(rule)
    }
    changed = {
        rule.rule: post(client.client, scene.at(rule), token).status_code
        for rule in scene.inside("POST")
        if too_high(rule)
    }
    assert seen
    assert changed
    assert {rule for rule, status in (*seen.items(), *changed.items()) if status != 403} == set()


def test_nothing_is_changed_without_the_token_of_a_page(scene: Scene) -> None:
    answers = {rule.rule: scene.pages.client.post(scene.at(rule)).status_code for rule in scene.rules("POST")}
    assert {rule for rule, status in answers.items() if status != 400} == set()
