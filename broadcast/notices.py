"""Tell a workspace that a destination needs attention, or delivers again: once, by each way it has chosen.

    due -> still true? -> take (60 s, one try) -> mail and webhook, each on its own -> record

A way that failed is tried again after 1, 5, 30 and 30 minutes and then given up, which the audit log says.
Who was not told of a pause is not told of its end either.
"""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from broadcast import ledger, notice_webhook, notice_words
from broadcast.destination import Destination
from broadcast.errors import SendFailed, Unavailable, VaultError
from broadcast.mail import Mail, Mailer, reachable
from broadcast.notice_webhook import Sender
from broadcast.notice_words import Facts
from broadcast.store import Conn, Store, audit, cursors, destinations, notices, users, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.notices import Notice
from broadcast.store.workspaces import Workspace
from broadcast.vault import Vault

MAX_TRIES: Final = 5
LEASE_US: Final = 60_000_000
_MINUTE_US: Final = 60_000_000
_PAUSES_US: Final = (_MINUTE_US, 5 * _MINUTE_US, 30 * _MINUTE_US, 30 * _MINUTE_US)
_AT_ONCE: Final = 8
"""Each takes at most 15 s, and all that are taken together end within their minute."""

_RETENTION_US: Final = 30 * 86_400_000_000
_MANAGES: Final = ("owner", "admin")
_UNREADABLE: Final = "The stored address cannot be opened. Enter it again."
_log: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class Write(Protocol):
    """The lane of a worker's writes: runs a change in a transaction of its own."""

    def __call__(self, change: Callable[[Conn], _T], /) -> Awaitable[_T]:
        """Return what the change returned, once it is durable."""


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """A notice that is ours for a minute, with what it says and where it goes."""

    notice: Notice
    workspace: Workspace
    destination_uid: str
    facts: Facts
    to: tuple[str, ...]
    post: bool


class Notifier:
    """Sends the notices that are due; one a process is enough, several do no harm."""

    def __init__(  # noqa: PLR0917 - the parts it is made of, each of its own type
        self,
        store: Store,
        vault: Vault,
        sender: Sender,
        mailer: Mailer | None,
        public_url: str,
        clock: Callable[[], int],
        *,
        types: Mapping[str, type[Destination]] | None = None,
        retention_us: int = _RETENTION_US,
    ) -> None:
        self._store = store
        self._vault = vault
        self._sender = sender
        self._mailer = mailer
        self._public_url = public_url
        self._clock = clock
        self._types = types or {}
        self._retention_us = retention_us

    async def send_due(self, write: Write) -> int:
        """Send what is due and return how many notices were taken up; what goes wrong is only logged."""
        taken: list[_Taken] = []
        with _logged():
            if await asyncio.to_thread(self._any_due):
                taken = await write(self._take)
        await asyncio.gather(*(self._handle(item, write) for item in taken))
        return len(taken)

    def _any_due(self) -> bool:
        with self._store.read() as conn:
            return bool(notices.due(conn, self._clock(), 1))

    # -- what is taken -----------------------------------------------------------------------------

    def _take(self, conn: Conn) -> list[_Taken]:
        """Take the notices that are still true; end those that are not."""
        now_us = self._clock()
        taken = []
        for found in notices.due(conn, now_us, _AT_ONCE):
            # What came before in this run may have ended it.
            notice = notices.by_id(conn, found.id)
            if notice is None or notice.ended_at_us is not None or not self._still_true(conn, notice, now_us):
                continue
            item = self._prepared(conn, notice)
            if item is None:
                notices.end(conn, notice.id, now_us=now_us)
            elif notices.take(conn, notice, until_us=now_us + LEASE_US):
                taken.append(item)
        return taken

    def _still_true(self, conn: Conn, notice: Notice, now_us: int) -> bool:
        """Return whether a notice is to be sent now; one that nobody needs any more is ended."""
        if notice.tries >= MAX_TRIES:  # its last holder died on the way
            self._give_up(conn, notice, {"try": "It did not end."}, now_us)
            return False
        if notice.kind == "needs_attention":
            if _stands(conn, notice) and not notices.has_follower(conn, notice):
                return True
            notices.end(conn, notice.id, now_us=now_us)
            return False
        pause = notices.pause_before(conn, notice)
        if pause is None:
            return True
        if pause.ended_at_us is None and not pause.told and pause.tries:
            # It may be on its way at this moment: after its minute it is known who was told.
            notices.defer(conn, notice.id, due_at_us=max(pause.due_at_us, now_us + 1_000_000))
            return False
        notices.end(conn, pause.id, now_us=now_us)
        if not pause.told:
            notices.end(conn, notice.id, now_us=now_us)
        return pause.told

    def _prepared(self, conn: Conn, notice: Notice) -> _Taken | None:
        """Return a notice with what it says, None when there is no way left for it."""
        workspace = workspaces.by_id(conn, notice.workspace_id)
        stored = destinations.by_id(conn, notice.destination_id)
        if workspace is None or stored is None:
            return None
        pause = notices.pause_before(conn, notice) if notice.kind == "resumed" else None
        mails = self._mailer is not None and workspace.notify_email and notice.mailed_at_us is None
        posts = workspace.notify_webhook is not None and notice.posted_at_us is None
        to = _recipients(conn, workspace) if mails and (pause is None or pause.mailed_at_us) else ()
        post = posts and (pause is None or pause.posted_at_us is not None)
        if not to and not post:
            return None
        facts = self._facts(conn, notice, workspace, stored)
        return _Taken(
            notice=notice, workspace=workspace, destination_uid=stored.uid, facts=facts, to=to, post=post
        )

    def _facts(self, conn: Conn, notice: Notice, workspace: Workspace, stored: StoredDestination) -> Facts:
        cursor = cursors.get(conn, stored.id)
        head = workspaces.head_seq(conn, workspace.id)
        held = 0 if cursor is None or cursor.ended_seq is not None else max(0, head - cursor.cursor_seq)
        kind = self._types.get(stored.type)
        owed = ledger.owed(
            conn, cursor, head, retention_us=self._retention_us, max_age_s=kind.max_age_s if kind else None
        )
        settings = f"{self._public_url}/w/{workspace.slug}/settings"
        return Facts(
            kind=notice.kind,
            at_us=notice.at_us,
            message=notice.message,
            workspace_uid=workspace.uid,
            workspace_name=workspace.name,
            destination_uid=stored.uid,
            destination_name=stored.name,
            destination_type=stored.type,
            held=held,
            held_until_us=owed.held_until_us if owed else None,
            url=f"{settings}/observability/{stored.uid}",
            settings_url=f"{settings}/workspace",
        )

    # -- sending -----------------------------------------------------------------------------------

    async def _handle(self, item: _Taken, write: Write) -> None:
        """Send one notice by its ways, side by side, and record what became of each."""
        with _logged():
            mailed, posted = await asyncio.gather(self._mail(item), self._post(item))
            await write(lambda conn: self._settle(conn, item, mailed, posted))

    async def _mail(self, item: _Taken) -> str | None:
        """Return why the mail did not go out, None when it did or none was wanted."""
        if self._mailer is None or not item.to:
            return None
        mail = Mail(
            id=f"notice-{item.notice.id}-{item.destination_uid}",
            to=item.to,
            subject=notice_words.subject(item.facts),
            text=notice_words.text(item.facts),
            at_us=item.notice.at_us,
        )
        try:
            await self._mailer.send(mail)
        except SendFailed as error:
            return str(error)
        return None

    async def _post(self, item: _Taken) -> str | None:
        """Return why the post was not taken, None when it was or none was wanted."""
        if not item.post:
            return None
        try:
            url = notice_webhook.opened(self._vault, item.workspace)
        except VaultError:
            return _UNREADABLE
        posted = await notice_webhook.post(self._sender, url or "", notice_words.body(item.facts))
        return None if posted.ok else posted.message

    def _settle(self, conn: Conn, item: _Taken, mailed: str | None, posted: str | None) -> None:
        """Record which ways are done; try the others again later, or give them up."""
        now_us = self._clock()
        notice = item.notice
        notices.record(
            conn,
            notice.id,
            mailed=bool(item.to) and mailed is None,
            posted=item.post and posted is None,
            now_us=now_us,
        )
        failed = {way: words for way, words in (("e-mail", mailed), ("webhook", posted)) if words}
        if not failed:
            notices.end(conn, notice.id, now_us=now_us)
        elif notice.tries + 1 >= MAX_TRIES:
            self._give_up(conn, notice, failed, now_us)
        else:
            notices.defer(conn, notice.id, due_at_us=now_us + _PAUSES_US[notice.tries])

    def _give_up(self, conn: Conn, notice: Notice, failed: Mapping[str, str], now_us: int) -> None:
        if not notices.end(conn, notice.id, now_us=now_us):
            return
        stored = destinations.by_id(conn, notice.destination_id)
        audit.record(
            conn,
            workspace_id=notice.workspace_id,
            user_id=None,
            action="notice.given_up",
            target=stored.uid if stored else str(notice.destination_id),
            detail={"kind": notice.kind, "tries": MAX_TRIES, "failed": dict(failed)},
            now_us=now_us,
        )


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Log what went wrong; a notice that was taken is due again after its minute."""
    try:
        yield
    except Unavailable as error:
        _log.warning("action=notices_wait reason=%s", error)
    except Exception as error:  # noqa: BLE001 - the worker goes on, and the next run tries again
        # Its name and place alone: a message could repeat an address, and with it a token.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.name}:{frame.lineno}"
        _log.error("action=notices_failed error=%s at=%s", type(error).__name__, place)


def _stands(conn: Conn, notice: Notice) -> bool:
    """Return whether the destination is still paused by an answer."""
    stored = destinations.by_id(conn, notice.destination_id)
    return stored is not None and stored.enabled and stored.paused_by == "answer"


def _recipients(conn: Conn, workspace: Workspace) -> tuple[str, ...]:
    return reachable(user.email for user, role in users.members(conn, workspace.id) if role in _MANAGES)
