"""Who is told, changed by owner and admin: audited, sealed, all or nothing."""

from dataclasses import dataclass
from typing import Any

import pytest

from broadcast import notice_webhook
from broadcast.egress import Policy
from broadcast.errors import Conflict, SettingsError
from broadcast.mail import Mailer, MailServer
from broadcast.notice_settings import NoticeSettings, rewrap, view
from broadcast.store import Store, audit, workspaces
from broadcast.store.workspaces import Workspace
from broadcast.vault import KeyRing, Vault, new_key
from tests.broadcast.store.rows import NOW_US, a_user, a_workspace
from tests.receiver import Receiver

OLD, NEW = new_key("old"), new_key("new")
VAULT = Vault(KeyRing.parse(OLD))
URL = "https://hooks.slack.com/services/T000/B000/xKEEPxTHISxSECRETx"
PUBLIC = "https://broadcast.example.com"


@dataclass(kw_only=True)
class World:
    store: Store
    workspace: Workspace
    user_id: int
    policy: Policy = Policy()  # noqa: RUF009 - frozen

    @property
    def settings(self) -> NoticeSettings:
        return NoticeSettings(self.store, VAULT, self.policy, None, PUBLIC)

    def change(self, **body: Any) -> Workspace:
        self.workspace = self.settings.change(self.workspace, self.user_id, body, now_us=NOW_US)
        return self.workspace

    @property
    def audited(self) -> list[tuple[str, dict[str, Any]]]:
        with self.store.read() as conn:
            entries = audit.list_for(conn, self.workspace.id, 10)
        assert all(entry.user_id == self.user_id for entry in entries)
        return [(entry.action, entry.detail) for entry in entries][::-1]


@pytest.fixture
def world(store: Store) -> World:
    with store.write() as conn:
        return World(store=store, workspace=a_workspace(conn), user_id=a_user(conn).id)


def test_mail_is_on_and_there_is_no_address_until_one_is_entered(world: World) -> None:
    assert view(world.workspace) == {"email_enabled": True, "webhook_host": None}


def test_both_ways_are_changed_at_once_and_audited(world: World) -> None:
    changed = world.change(email_enabled=False, webhook_url=URL)

    assert view(changed) == {"email_enabled": False, "webhook_host": "hooks.slack.com"}
    assert notice_webhook.opened(VAULT, changed) == URL
    assert world.audited == [
        ("notifications.email_changed", {"enabled": False}),
        ("notifications.webhook_saved", {"host": "hooks.slack.com"}),
    ]


def test_an_address_is_removed_by_null(world: World) -> None:
    world.change(webhook_url=URL)

    changed = world.change(webhook_url=None)

    assert view(changed)["webhook_host"] is None
    assert changed.notify_webhook is None
    assert world.audited[-1] == ("notifications.webhook_removed", {"host": "hooks.slack.com"})


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"email_enabled": "yes"}, "email_enabled"),
        ({"webhook_url": 7}, "webhook_url"),
        ({"webhook_url": "http://hooks.slack.com/x"}, "webhook_url"),
        ({"webhook_host": "hooks.slack.com"}, "webhook_host"),
    ],
)
def test_one_wrong_setting_changes_nothing(world: World, body: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        world.change(**{"email_enabled": False} | body)

    assert list(refused.value.problems) == [named]
    with world.store.read() as conn:
        found = workspaces.by_id(conn, world.workspace.id)
    assert found is not None
    assert view(found) == {"email_enabled": True, "webhook_host": None}
    assert world.audited == []


def test_a_test_posts_what_a_notice_looks_like(world: World) -> None:
    with Receiver() as receiver:
        world.policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
        world.change(webhook_url=receiver.url("/hooks/T0KEN"))
        posted = world.settings.test(world.workspace, world.user_id, now_us=NOW_US)

    assert posted.ok
    url = f"{PUBLIC}/w/team/settings/workspace"
    assert receiver.requests[0].json() == {
        "type": "notification.test",
        "at": "2025-11-21T04:40:00.000Z",
        "workspace": {"id": world.workspace.uid, "name": "Team"},
        "destination": None,
        "reason": None,
        "held": 0,
        "held_until": None,
        "url": url,
        "text": f"Team tested this address. Destinations that need attention are reported here. {url}",
    }
    assert world.audited[-1] == ("notifications.tested", {"host": "127.0.0.1", "ok": True})


def test_there_is_nothing_to_test_without_an_address(world: World) -> None:
    with pytest.raises(Conflict):
        world.settings.test(world.workspace, world.user_id, now_us=NOW_US)


def test_an_address_that_does_not_open_fails_its_test(world: World) -> None:
    world.change(webhook_url=URL)
    other = NoticeSettings(world.store, Vault(KeyRing.parse(NEW)), Policy(), None, PUBLIC)

    posted = other.test(world.workspace, world.user_id, now_us=NOW_US)

    assert (posted.ok, posted.message) == (False, "The stored address cannot be opened.")


def test_an_address_outlives_the_key_it_was_sealed_with(world: World) -> None:
    world.change(webhook_url=URL)
    with world.store.write() as conn:
        assert rewrap(conn, Vault(KeyRing.parse(f"{NEW},{OLD}")), world.workspace)
        found = workspaces.by_id(conn, world.workspace.id)

    assert found is not None
    assert notice_webhook.opened(Vault(KeyRing.parse(NEW)), found) == URL


def test_a_workspace_without_an_address_has_nothing_to_wrap(world: World) -> None:
    with world.store.write() as conn:
        assert not rewrap(conn, VAULT, world.workspace)


def test_pages_know_whether_mail_is_sent_at_all(world: World) -> None:
    server = MailServer.parse("smtps://mail.example.com/?from=a@b.example")

    assert not world.settings.sends_mail
    assert NoticeSettings(world.store, VAULT, Policy(), Mailer(server), PUBLIC).sends_mail
