"""Join a workspace by a link: made for one address and one role, used once, over after a week.

Whoever holds the link may join with the account they are logged in with; an account that the link makes has
the address that it was made for, so that no link can be used to try out addresses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broadcast import credentials
from broadcast.accounts import Accounts, open_session
from broadcast.errors import Conflict, Forbidden, NotFound, SendFailed, SettingsError
from broadcast.mail import Mail, Mailer, is_address
from broadcast.members import givable
from broadcast.rate_limit import RateLimit
from broadcast.store import Conn, Store, audit, users, workspaces
from broadcast.store import invitations as links
from broadcast.store.invitations import Invitation
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace

DAYS: Final = 7
_LIFE_US: Final = DAYS * 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_MADE: Final = RateLimit(
    uses=30, within_us=_HOUR_US, words="Too many invitations within an hour. Wait a little."
)
_TRIES: Final = RateLimit(uses=20, within_us=_HOUR_US, words="Too many tries. Wait a little.")
_GONE: Final = "This invitation was used or revoked, or its time is over. Ask for a new one."


@dataclass(frozen=True, kw_only=True)
class Made:
    """A new invitation; its link is shown once. `mailed` is None where no mail server is set up."""

    invitation: Invitation
    link: str = field(repr=False)
    mailed: bool | None
    problem: str = ""


class Invitations:
    """The use cases of invitations; each opens and closes its own transactions."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        mailer: Mailer | None,
        public_url: str,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._mailer = mailer
        self._public_url = public_url
        self._clock = clock
        self.sends_mail = mailer is not None

    # -- by owner and admin ------------------------------------------------------------------------

    def invite(self, workspace: Workspace, inviter: User, *, email: str, role: str) -> Made:
        """Make a link and mail it where that is possible; whether the address is known is not told."""
        now_us, email = self._clock(), email.strip().lower()
        if not is_address(email):
            raise SettingsError({"email": "This is not an e-mail address."})
        token = credentials.new_token()
        _MADE.count(self._store, f"invite:{workspace.id}", now_us=now_us)
        with self._store.write() as conn:
            # Before anything is read: nobody joins, is lowered or invites the same address meanwhile.
            workspaces.lock_head(conn, workspace.id)
            offered = givable(users.role_of(conn, workspace.id, inviter.id))
            if role not in offered:
                raise Forbidden(f"You may not invite with the role {role}.")
            if any(member.email == email for member, _ in users.members(conn, workspace.id)):
                raise Conflict(f"{email} is a member already.", field="email")
            if not links.roles_open_to(conn, workspace.id, email, now_us).issubset(offered):
                raise Forbidden("Your role does not reach the invitation that is open for this address.")
            made = links.create(
                conn,
                token_hash=credentials.public_hash(token),
                workspace_id=workspace.id,
                email=email,
                role=role,
                invited_by=inviter.id,
                now_us=now_us,
                expires_at_us=now_us + _LIFE_US,
            )
            _audit(conn, made, inviter.id, "invitation_made", now_us)
        link = f"{self._public_url}/join/{token}"
        problem = self._mail(workspace, inviter, made, link) if self._mailer else ""
        return Made(invitation=made, link=link, mailed=not problem if self._mailer else None, problem=problem)

    def open_in(self, workspace_id: int) -> list[tuple[Invitation, str]]:
        """Return a workspace's invitations that can still be used, each with the address of who made it."""
        with self._store.read() as conn:
            return links.list_for(conn, workspace_id, self._clock())

    def revoke(self, workspace_id: int, user_id: int, uid: str) -> None:
        """End an invitation at once; an admin does not end one that an owner made for an owner."""
        with self._store.write() as conn:
            found = links.revoke(conn, workspace_id, uid)
            if found is None:
                raise NotFound("There is no such invitation. It was used or revoked, or its time is over.")
            if found.role not in givable(users.role_of(conn, workspace_id, user_id)):
                raise Forbidden(f"Your role does not reach an invitation with the role {found.role}.")
            _audit(conn, found, user_id, "invitation_revoked", self._clock())

    # -- by whoever holds the link -------------------------------------------------------------------

    def look(self, token: str) -> tuple[Invitation, Workspace]:
        """Return what a link opens; raise `NotFound` for one that opens nothing any more."""
        with self._store.read() as conn:
            return self._looked(conn, credentials.public_hash(token))

    def join(self, token: str, user: User) -> Workspace:
        """Make a logged-in user a member; the link is used up, unless they are one already."""
        now_us = self._clock()
        with self._store.write() as conn:
            return self.admit(conn, credentials.public_hash(token), user, now_us)

    def join_with_password(self, token: str, password: str, address: str) -> tuple[str, Workspace] | None:
        """Log the invited address in, making its account where there is none, and let it join.

        Return the session's token and the workspace; None for a password that is not the account's.
        """
        now_us = self._clock()
        _TRIES.count(self._store, f"join:{address}", now_us=now_us)
        invitation, _ = self.look(token)
        if wrong := credentials.password_fault(password):
            raise SettingsError({"password": wrong})
        with self._store.read() as conn:
            user = users.by_email(conn, invitation.email)
        if user is None:
            return self._join_as_new(token, invitation.email, password, address, now_us)
        session = self._accounts.log_in(invitation.email, password, address, now_us)
        return None if session is None else (session, self.join(token, user))

    # -- in the transaction of whoever makes an account ----------------------------------------------

    def held(self, conn: Conn, token_hash: str) -> tuple[Invitation, Workspace]:
        """Return what a link opens, and keep it from everybody else until this transaction ends."""
        _, workspace = self._looked(conn, token_hash)
        workspaces.lock_head(conn, workspace.id)
        # Another holder of the same link may have been faster while we waited.
        return self._looked(conn, token_hash)

    def admit(self, conn: Conn, token_hash: str, user: User, now_us: int) -> Workspace:
        """Make somebody a member by a link, and use it up unless they are one already."""
        found, workspace = self.held(conn, token_hash)
        if users.role_of(conn, workspace.id, user.id) is not None:
            return workspace
        links.use(conn, token_hash)
        users.add_member(conn, workspace_id=workspace.id, user_id=user.id, role=found.role)
        users.set_last_workspace(conn, user.id, workspace.id)
        audit.record(
            conn,
            workspace_id=workspace.id,
            user_id=user.id,
            action="member_joined",
            target=user.email,
            detail={"role": found.role, "invited_as": found.email},
            now_us=now_us,
        )
        return workspace

    # -- inside --------------------------------------------------------------------------------------

    def _join_as_new(
        self, token: str, email: str, password: str, address: str, now_us: int
    ) -> tuple[str, Workspace]:
        """Make the account, let it join and log it in, in one transaction: all of it by the link alone.

        The password has just been chosen: nobody is asked for it, and failed log-ins of others do not count.
        """
        token_hash, password_hash = credentials.public_hash(token), credentials.hash_password(password)
        with self._store.write() as conn:
            self.held(conn, token_hash)
            user = users.create(conn, email=email, password_hash=password_hash, now_us=now_us)
            workspace = self.admit(conn, token_hash, user, now_us)
            return open_session(conn, user, address, now_us), workspace

    def _looked(self, conn: Conn, token_hash: str) -> tuple[Invitation, Workspace]:
        found = links.by_token_hash(conn, token_hash, self._clock())
        workspace = workspaces.by_id(conn, found.workspace_id) if found else None
        if found is None or workspace is None:
            raise NotFound(_GONE)
        return found, workspace

    def _mail(self, workspace: Workspace, inviter: User, made: Invitation, link: str) -> str:
        """Mail a link; return why that was not possible, empty when it was."""
        mail = Mail(
            id=made.uid,
            to=(made.email,),
            subject=f"Join {workspace.name} on Broadcast",
            text=(
                f"{inviter.email} invites you to {workspace.name} as {made.role}.\n\n{link}\n\n"
                f"The link works once, within {DAYS} days. Whoever has it can join: keep it to yourself.\n"
            ),
            at_us=made.created_at_us,
        )
        try:
            if self._mailer:
                self._mailer.send_now(mail)
        except SendFailed as error:
            return str(error)
        return ""


def _audit(conn: Conn, invitation: Invitation, user_id: int, action: str, now_us: int) -> None:
    audit.record(
        conn,
        workspace_id=invitation.workspace_id,
        user_id=user_id,
        action=action,
        target=invitation.email,
        detail={"role": invitation.role},
        now_us=now_us,
    )
