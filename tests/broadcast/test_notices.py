"""Notices as people get them: a real mail server, a real receiver, both databases, and a clock of our own."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from broadcast import mail, notice_webhook
from broadcast.egress import Policy
from broadcast.errors import Unavailable
from broadcast.mail import Mailer
from broadcast.notices import MAX_TRIES, Notifier
from broadcast.store import Conn, Store, audit, destinations, notices, users, workspaces
from broadcast.store.notices import HOLD_BACK_US, Kind, Notice
from broadcast.store.workspaces import Workspace
from broadcast.transport import Transport
from broadcast.vault import KeyRing, Vault, new_key
from tests.broadcast.store.rows import NOW_US, a_destination, a_user, a_workspace, append_some
from tests.mail_server import MailServer
from tests.receiver import Receiver

T = TypeVar("T")
MINUTE_US = 60_000_000
VAULT = Vault(KeyRing.parse(new_key()))
WORDS = '401 Unauthorized: {"error":"invalid token"}'


@dataclass(kw_only=True)
class World:
    """A workspace with an owner, an admin and a member, and one destination that may be paused."""

    store: Store
    smtp: MailServer
    receiver: Receiver
    now_us: int = NOW_US
    workspace: Workspace = field(init=False)
    destination_id: int = field(init=False)
    with_mail: bool = True

    def __post_init__(self) -> None:
        with self.store.write() as conn:
            made = a_workspace(conn, "Checkout team")
            for role in ("owner", "admin", "member", "viewer"):
                user = a_user(conn, f"{role}@example.com")
                users.add_member(conn, workspace_id=made.id, user_id=user.id, role=role)
            self.destination_id = a_destination(conn, made.id, "Grafana prod")
            append_some(conn, made.id, 3)
            self.workspace = made

    def webhook(self, path: str = "/hooks/T0KEN-9fQa") -> None:
        url = self.receiver.url(path)
        sealed = notice_webhook.seal(VAULT, self.workspace.uid, url)
        with self.store.write() as conn:
            workspaces.set_webhook(conn, self.workspace.id, sealed, notice_webhook.host_of(url))

    def email(self, enabled: bool) -> None:
        with self.store.write() as conn:
            workspaces.set_notify_email(conn, self.workspace.id, enabled)

    def pauses(self, message: str = WORDS) -> None:
        """Do as the engine does when an answer pauses a destination."""
        with self.store.write() as conn:
            destinations.pause(conn, self.destination_id, by="answer", reason=message, now_us=self.now_us)
            self._say(conn, "needs_attention", message)

    def resumes(self) -> None:
        with self.store.write() as conn:
            destinations.resume(conn, self.destination_id)
            self._say(conn, "resumed", "A probe was accepted.")

    def _say(self, conn: Conn, kind: Kind, message: str) -> None:
        notices.add(
            conn,
            workspace_id=self.workspace.id,
            destination_id=self.destination_id,
            kind=kind,
            message=message,
            now_us=self.now_us,
        )

    def passes(self, us: int) -> None:
        self.now_us += us

    def sends(self) -> int:
        return asyncio.run(self._run(1))[0]

    def workers_send(self, count: int) -> list[int]:
        return asyncio.run(self._run(count))

    async def _run(self, workers: int) -> list[int]:
        mailer = Mailer(mail.MailServer.parse(self.smtp.url())) if self.with_mail else None
        async with Transport(Policy.parse([f"127.0.0.1:{self.receiver.port}"])) as transport:
            notifiers = [
                Notifier(
                    self.store,
                    VAULT,
                    transport,
                    mailer,
                    "https://broadcast.example.com",
                    lambda: self.now_us,
                    retention_us=30 * 24 * 60 * MINUTE_US,
                )
                for _ in range(workers)
            ]
            return await asyncio.gather(*(each.send_due(self.write) for each in notifiers))

    async def write(self, change: Callable[[Conn], T]) -> T:
        return await asyncio.to_thread(self._write, change)

    def _write(self, change: Callable[[Conn], T]) -> T:
        with self.store.write() as conn:
            return change(conn)

    @property
    def posts(self) -> list[dict[str, Any]]:
        return [json.loads(seen.body) for seen in self.receiver.requests]

    @property
    def notices(self) -> list[Notice]:
        with self.store.read() as conn:
            return notices.list_for(conn, self.workspace.id, 10)[::-1]

    @property
    def audited(self) -> list[audit.Entry]:
        with self.store.read() as conn:
            return audit.list_for(conn, self.workspace.id, 10)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    with MailServer() as smtp, Receiver() as receiver:
        yield World(store=store, smtp=smtp, receiver=receiver)


def told_of_a_pause(world: World) -> None:
    world.pauses()
    world.passes(HOLD_BACK_US)
    world.sends()
    world.passes(MINUTE_US)


# -- what is said --------------------------------------------------------------------------------


def test_owners_and_admins_are_told_by_mail(world: World) -> None:
    told_of_a_pause(world)

    (mail_,) = world.smtp.mails
    assert mail_.to == ("admin@example.com", "owner@example.com")
    assert mail_.message["Subject"] == "Broadcast: Grafana prod needs attention"
    uid = uid_of(world)
    assert mail_.text == (
        "Grafana prod in Checkout team needs attention.\n\n"
        "What happened\n"
        'It answered “401 Unauthorized: {"error":"invalid token"}”, at 21 Nov 2025 04:40 UTC.\n\n'
        "What is held\n"
        "3 receipts are held until 21 Dec 2025 04:40 UTC. What is routed from now on is held as well.\n\n"
        "What to do\n"
        "Give the destination a new key, and test it:\n"
        f"https://broadcast.example.com/w/checkout-team/settings/observability/{uid}\n"
        "Broadcast also tries by itself, with growing pauses; when a try passes, it sends what is held.\n\n"
        "You get this as an owner or admin of Checkout team. To switch it off:\n"
        "https://broadcast.example.com/w/checkout-team/settings/workspace\n"
    )


def uid_of(world: World) -> str:
    with world.store.read() as conn:
        stored = destinations.by_id(conn, world.destination_id)
    assert stored is not None
    return stored.uid


def test_a_webhook_gets_the_same_as_json(world: World) -> None:
    world.webhook()
    told_of_a_pause(world)

    (post,) = world.posts
    uid = uid_of(world)
    url = f"https://broadcast.example.com/w/checkout-team/settings/observability/{uid}"
    assert post == {
        "type": "destination.needs_attention",
        "at": "2025-11-21T04:40:00.000Z",
        "workspace": {"id": world.workspace.uid, "name": "Checkout team"},
        "destination": {"id": uid, "name": "Grafana prod", "type": "otel-collector"},
        "reason": WORDS,
        "held": 3,
        "held_until": "2025-12-21T04:40:00.000Z",
        "url": url,
        "text": (
            'Grafana prod in Checkout team needs attention: it answered “401 Unauthorized: {"error":"invalid '
            f'token"}}”; 3 receipts are held until 21 Dec 2025 04:40 UTC. {url}'
        ),
    }
    assert world.receiver.requests[0].path == "/hooks/T0KEN-9fQa"
    assert world.receiver.requests[0].headers["content-type"] == "application/json"


def test_vendors_words_can_not_ring_a_chat(world: World) -> None:
    world.webhook()
    world.pauses("403 Forbidden: <!channel> & <https://evil.example|here>")
    world.passes(HOLD_BACK_US)
    world.sends()

    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;" in world.posts[0]["text"]


@pytest.mark.parametrize(
    ("reason", "happened", "advice"),
    [
        ("404 Not Found", "It answered “404 Not Found”", "Check the destination's address"),
        ("302 Found", "It answered “302 Found”", "Check the destination's address"),
        ("This address is not allowed.", "This address is not allowed,", "Look at the destination"),
    ],
)
def test_what_to_do_follows_from_what_happened(world: World, reason: str, happened: str, advice: str) -> None:
    world.pauses(reason)
    world.passes(HOLD_BACK_US)
    world.sends()

    assert happened in world.smtp.mails[0].text
    assert advice in world.smtp.mails[0].text


def test_whoever_was_told_hears_of_the_end(world: World) -> None:
    world.webhook()
    told_of_a_pause(world)
    world.resumes()

    assert world.sends() == 1

    assert world.smtp.mails[1].message["Subject"] == "Broadcast: Grafana prod delivers again"
    assert "Nothing is left to do." in world.smtp.mails[1].text
    assert world.posts[1]["type"] == "destination.resumed"
    assert world.posts[1]["text"].startswith("Grafana prod in Checkout team delivers again; 3 receipts are")


# -- once, and only what is still true -----------------------------------------------------------


def test_a_notice_goes_out_once(world: World) -> None:
    world.webhook()
    told_of_a_pause(world)
    world.passes(60 * MINUTE_US)

    assert world.sends() == 0
    assert (len(world.smtp.mails), len(world.posts)) == (1, 1)
    assert world.notices[0].told
    assert world.notices[0].ended_at_us is not None


def test_two_workers_send_one(world: World) -> None:
    world.webhook()
    world.pauses()
    world.passes(HOLD_BACK_US)

    assert sorted(world.workers_send(2)) == [0, 1]

    assert (len(world.smtp.mails), len(world.posts)) == (1, 1)


def test_a_pause_is_held_back_for_a_moment(world: World) -> None:
    world.pauses()
    world.passes(HOLD_BACK_US - 1)

    assert world.sends() == 0
    world.passes(1)
    assert world.sends() == 1


def test_a_hiccup_makes_neither_notice(world: World) -> None:
    world.webhook()
    world.pauses()
    world.passes(HOLD_BACK_US // 2)
    world.resumes()
    world.sends()
    world.passes(60 * MINUTE_US)
    world.sends()

    assert (world.smtp.mails, world.posts) == ([], [])
    assert all(notice.ended_at_us for notice in world.notices)


def test_a_pause_that_is_over_before_it_was_told_is_dropped(world: World) -> None:
    world.pauses()
    with world.store.write() as conn:
        destinations.resume(conn, world.destination_id)
    world.passes(HOLD_BACK_US)

    assert world.sends() == 0
    assert world.smtp.mails == []


def test_a_deleted_destination_needs_no_attention(world: World) -> None:
    world.pauses()
    with world.store.write() as conn:
        destinations.delete(conn, world.destination_id, now_us=world.now_us)
    world.passes(HOLD_BACK_US)

    assert world.sends() == 0
    assert world.notices[0].ended_at_us is not None


def test_the_second_pause_after_a_hiccup_is_told(world: World) -> None:
    world.pauses()
    world.resumes()
    world.passes(MINUTE_US)
    world.pauses("403 Forbidden")
    world.passes(HOLD_BACK_US)
    world.sends()

    assert [mail_.message["Subject"] for mail_ in world.smtp.mails] == [
        "Broadcast: Grafana prod needs attention"
    ]
    assert "403 Forbidden" in world.smtp.mails[0].text


# -- ways that are chosen ------------------------------------------------------------------------


def test_mail_that_is_switched_off_is_not_sent(world: World) -> None:
    world.webhook()
    world.email(False)
    told_of_a_pause(world)

    assert (len(world.smtp.mails), len(world.posts)) == (0, 1)


def test_without_a_mail_server_the_webhook_is_told(world: World) -> None:
    world.webhook()
    world.with_mail = False
    told_of_a_pause(world)

    assert len(world.posts) == 1
    assert world.notices[0].mailed_at_us is None


def test_without_any_way_a_notice_ends_at_once(world: World) -> None:
    world.with_mail = False
    told_of_a_pause(world)

    assert world.notices[0].ended_at_us is not None
    assert world.audited == []


def test_a_way_that_was_not_told_of_the_pause_is_not_told_of_its_end(world: World) -> None:
    told_of_a_pause(world)
    world.webhook()
    world.resumes()
    world.sends()

    assert (len(world.smtp.mails), len(world.posts)) == (2, 0)


# -- what fails ----------------------------------------------------------------------------------


def test_only_the_way_that_failed_is_tried_again(world: World) -> None:
    world.webhook("/status/503")
    world.pauses()
    world.passes(HOLD_BACK_US)
    world.sends()
    assert (len(world.smtp.mails), len(world.posts)) == (1, 1)

    world.passes(MINUTE_US)
    world.sends()

    assert (len(world.smtp.mails), len(world.posts)) == (1, 2)


def test_pauses_grow_and_end_in_the_audit_log(world: World) -> None:
    world.webhook("/status/404/T0KEN-9fQa")
    world.pauses()
    world.passes(HOLD_BACK_US)
    for pause_min in (1, 5, 30, 30):
        world.sends()
        world.passes(pause_min * MINUTE_US - 1)
        assert world.sends() == 0
        world.passes(1)
    world.sends()
    world.passes(60 * MINUTE_US)
    world.sends()

    assert len(world.posts) == MAX_TRIES
    assert [entry.action for entry in world.audited] == ["notice.given_up"]
    detail = world.audited[0].detail
    assert (detail["kind"], detail["tries"]) == ("needs_attention", 5)
    assert detail["failed"] == {"webhook": "127.0.0.1 answered 404 Not Found."}


def test_the_end_of_a_pause_that_could_not_be_told_is_dropped_with_it(world: World) -> None:
    world.email(False)
    world.webhook("/status/503")
    world.pauses()
    world.passes(HOLD_BACK_US)
    world.sends()
    world.resumes()
    world.sends()
    world.passes(60 * MINUTE_US)
    world.sends()

    assert len(world.posts) == 1
    assert all(notice.ended_at_us for notice in world.notices)


def test_a_worker_that_died_while_sending_is_followed_by_another(world: World) -> None:
    world.pauses()
    world.passes(HOLD_BACK_US)
    with world.store.write() as conn:
        notices.take(conn, notices.due(conn, world.now_us, 1)[0], until_us=world.now_us + MINUTE_US)
    assert world.sends() == 0
    world.passes(MINUTE_US)

    assert world.sends() == 1
    assert len(world.smtp.mails) == 1


def test_workers_that_die_on_every_try_end_in_the_audit_log(world: World) -> None:
    world.pauses()
    world.passes(HOLD_BACK_US)
    for _ in range(MAX_TRIES):
        with world.store.write() as conn:
            notices.take(conn, notices.due(conn, world.now_us, 1)[0], until_us=world.now_us + MINUTE_US)
        world.passes(MINUTE_US)

    assert world.sends() == 0
    assert [entry.action for entry in world.audited] == ["notice.given_up"]
    assert world.smtp.mails == []


def test_an_address_that_does_not_open_is_said_and_never_dialled(world: World) -> None:
    world.email(False)
    world.webhook()
    with world.store.write() as conn:
        sealed = notice_webhook.seal(VAULT, "another workspace", world.receiver.url("/hooks/x"))
        workspaces.set_webhook(conn, world.workspace.id, sealed, "127.0.0.1")
    world.pauses()
    world.passes(HOLD_BACK_US)
    for _ in range(MAX_TRIES):
        world.sends()
        world.passes(30 * MINUTE_US)

    assert world.posts == []
    assert world.audited[0].detail["failed"] == {
        "webhook": "The stored address cannot be opened. Enter it again."
    }


def test_a_database_out_of_reach_is_only_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.pauses()
    world.passes(HOLD_BACK_US)

    async def broken(change: Callable[[Conn], T]) -> T:
        raise Unavailable("The database is busy.")

    async def run() -> int:
        async with Transport(Policy()) as transport:
            notifier = Notifier(world.store, VAULT, transport, None, "http://x", lambda: world.now_us)
            return await notifier.send_due(broken)

    assert asyncio.run(run()) == 0
    assert "The database is busy." in caplog.text


def test_what_goes_wrong_is_logged_without_its_words(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.webhook()
    world.pauses()
    world.passes(HOLD_BACK_US)

    class Broken:
        async def send(self, request: object) -> Any:
            raise RuntimeError("no way to https://hooks.example/T0KEN-9fQa")

    async def run() -> int:
        notifier = Notifier(world.store, VAULT, Broken(), None, "http://x", lambda: world.now_us)
        return await notifier.send_due(world.write)

    assert asyncio.run(run()) == 1
    assert "RuntimeError" in caplog.text
    assert "T0KEN" not in caplog.text
