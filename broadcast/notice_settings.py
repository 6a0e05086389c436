"""How a workspace is told of a destination that needs attention: mail on or off, and one webhook."""

from collections.abc import Mapping
from typing import Any, Final

from broadcast import notice_webhook, notice_words
from broadcast.egress import Policy
from broadcast.errors import Conflict, SettingsError, VaultError
from broadcast.mail import Mailer
from broadcast.notice_webhook import FIELD, Posted
from broadcast.store import Conn, Store, audit, workspaces
from broadcast.store.workspaces import Workspace
from broadcast.transport import send_once
from broadcast.vault import Vault

EMAIL: Final = "email_enabled"
_UNREADABLE: Final = Posted(
    ok=False, message="The stored address cannot be opened.", hint="Enter it again: replace it."
)


class NoticeSettings:
    """The use cases of owner and admin; each change is audited, and no address is ever given back."""

    def __init__(
        self, store: Store, vault: Vault, policy: Policy, mailer: Mailer | None, public_url: str
    ) -> None:
        self._store = store
        self._vault = vault
        self._policy = policy
        self._public_url = public_url
        self.sends_mail = mailer is not None

    def change(
        self, workspace: Workspace, user_id: int, body: Mapping[str, Any], *, now_us: int
    ) -> Workspace:
        """Change what a body names, all or nothing; raise `SettingsError` for what is unknown or wrong."""
        problems = {name: "This is not a setting here." for name in body if name not in {EMAIL, FIELD}}
        if EMAIL in body and not isinstance(body[EMAIL], bool):
            problems[EMAIL] = "This is true or false."
        url = body.get(FIELD)
        if url is not None and not isinstance(url, str):
            problems[FIELD] = "Enter an address, or null for none."
        if problems:
            raise SettingsError(problems)
        checked = None if url is None else notice_webhook.checked(url, self._policy)
        with self._store.write() as conn:
            if EMAIL in body:
                self._set_email(conn, workspace, user_id, body[EMAIL], now_us)
            if FIELD in body:
                self._set_webhook(conn, workspace, user_id, checked, now_us)
            return workspaces.by_id(conn, workspace.id) or workspace

    def test(self, workspace: Workspace, user_id: int, *, now_us: int) -> Posted:
        """Post a test notice to the stored address and say what became of it."""
        if workspace.notify_webhook is None:
            raise Conflict("No webhook address is stored. Save one first.", reason="no_webhook")
        posted = self._posted(workspace, now_us)
        with self._store.write() as conn:
            detail = {"host": workspace.notify_webhook_host, "ok": posted.ok}
            _audit(conn, workspace, user_id, "notifications.tested", detail, now_us)
        return posted

    def _posted(self, workspace: Workspace, now_us: int) -> Posted:
        try:
            url = notice_webhook.opened(self._vault, workspace) or ""
        except VaultError:
            return _UNREADABLE
        body = notice_words.trial_body(
            at_us=now_us,
            workspace_uid=workspace.uid,
            workspace_name=workspace.name,
            url=f"{self._public_url}/w/{workspace.slug}/settings/workspace",
        )
        return send_once(self._policy, lambda transport: notice_webhook.post(transport, url, body))

    def _set_email(self, conn: Conn, workspace: Workspace, user_id: int, enabled: bool, now_us: int) -> None:
        workspaces.set_notify_email(conn, workspace.id, enabled)
        _audit(conn, workspace, user_id, "notifications.email_changed", {"enabled": enabled}, now_us)

    def _set_webhook(
        self, conn: Conn, workspace: Workspace, user_id: int, url: str | None, now_us: int
    ) -> None:
        sealed = None if url is None else notice_webhook.seal(self._vault, workspace.uid, url)
        host = None if url is None else notice_webhook.host_of(url)
        workspaces.set_webhook(conn, workspace.id, sealed, host)
        action = "notifications.webhook_removed" if url is None else "notifications.webhook_saved"
        _audit(conn, workspace, user_id, action, {"host": host or workspace.notify_webhook_host}, now_us)


def view(workspace: Workspace) -> dict[str, Any]:
    """Return the settings as the API says them: of the address its host alone."""
    return {EMAIL: workspace.notify_email, "webhook_host": workspace.notify_webhook_host}


def rewrap(conn: Conn, vault: Vault, workspace: Workspace) -> bool:
    """Wrap a workspace's address with the first key of the ring; False where it has none."""
    if workspace.notify_webhook is None:
        return False
    sealed = vault.rewrap(workspace.notify_webhook)
    workspaces.set_webhook(conn, workspace.id, sealed, workspace.notify_webhook_host)
    return True


def _audit(  # noqa: PLR0917 - private, always called alike
    conn: Conn, workspace: Workspace, user_id: int, action: str, detail: dict[str, Any], now_us: int
) -> None:
    audit.record(
        conn,
        workspace_id=workspace.id,
        user_id=user_id,
        action=action,
        target=workspace.uid,
        detail=detail,
        now_us=now_us,
    )
