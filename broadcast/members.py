"""The people of a workspace: their roles, and how they leave."""

from typing import Final

from broadcast.errors import Conflict, Forbidden, NotFound
from broadcast.key_access import Keys
from broadcast.store import Conn, audit, invitations, keys, users, workspaces
from broadcast.store.users import User

ROLES: Final = ("viewer", "member", "admin", "owner")
"""From the least to the most: each may do what the ones before it may."""

MANAGING: Final = ("owner", "admin")
_LAST_OWNER: Final = "{} is the only owner. Make somebody else an owner first."


def givable(role: str | None) -> tuple[str, ...]:
    """Return the roles that somebody with a role may give, and whose holders they may change."""
    return ROLES[: ROLES.index(role) + 1] if role in MANAGING else ()


class Members(Keys):
    """The use cases of memberships; each opens and closes its own transactions."""

    def change_role(
        self, *, workspace_id: int, user_id: int, member_uid: str, role: str, now_us: int
    ) -> None:
        """Give a member another role; an admin touches no owner, and the last owner stays one."""
        with self._store.write() as conn:
            member, old = _judged(conn, workspace_id, user_id, member_uid)
            if role not in givable(users.role_of(conn, workspace_id, user_id)):
                raise Forbidden(f"You may not give the role {role}.")
            if role == old:
                return
            users.set_role(conn, workspace_id=workspace_id, user_id=member.id, role=role)
            if ROLES.index(role) < ROLES.index(old):
                # A link to a role that they no longer give would lead themselves, or others, back to it.
                invitations.revoke_of(conn, workspace_id, member.id)
            audit.record(
                conn,
                workspace_id=workspace_id,
                user_id=user_id,
                action="member_role_changed",
                target=member.email,
                detail={"from": old, "to": role},
                now_us=now_us,
            )

    def leave(self, *, workspace_id: int, user: User, now_us: int) -> None:
        """Take one's own leave; the last owner cannot."""
        self._part(workspace_id, user.id, user.uid, "member_left", now_us)

    def remove_member(self, *, workspace_id: int, user_id: int, member_uid: str, now_us: int) -> None:
        """Take a member out, by an owner or, where the member is no owner, by an admin."""
        self._part(workspace_id, user_id, member_uid, "member_removed", now_us)

    def member(self, workspace_id: int, member_uid: str) -> tuple[User, str]:
        """Return a member with their role."""
        with self._store.read() as conn:
            return _found(conn, workspace_id, member_uid)

    def _part(self, workspace_id: int, user_id: int, member_uid: str, action: str, now_us: int) -> None:
        """End a membership with what it opened: management keys, and invitations that nobody answered."""
        with self._store.write() as conn:
            member, _ = _judged(conn, workspace_id, user_id, member_uid)
            users.remove_member(conn, workspace_id=workspace_id, user_id=member.id)
            users.forget_last_workspace(conn, member.id, workspace_id)
            ended = keys.revoke_management_of(conn, workspace_id, member.id, now_us)
            invitations.revoke_of(conn, workspace_id, member.id)
            audit.record(
                conn,
                workspace_id=workspace_id,
                user_id=user_id,
                action=action,
                target=member.email,
                detail={"management_keys": ended},
                now_us=now_us,
            )
        self._forget(lambda known: known.workspace_id == workspace_id and known.user_id == member.id)


def _judged(conn: Conn, workspace_id: int, user_id: int, member_uid: str) -> tuple[User, str]:
    """Return a member whom the user may lower or take out; one may always lower and leave oneself."""
    # Before anything is read: of two owners who leave at once, the second sees that it is the last.
    workspaces.lock_head(conn, workspace_id)
    member, role = _found(conn, workspace_id, member_uid)
    if member.id != user_id and role not in givable(users.role_of(conn, workspace_id, user_id)):
        raise Forbidden(f"Your role does not reach a member with the role {role}.")
    if users.owners(conn, workspace_id) == {member.id}:
        raise Conflict(_LAST_OWNER.format(member.email), reason="last_owner")
    return member, role


def _found(conn: Conn, workspace_id: int, member_uid: str) -> tuple[User, str]:
    member = users.by_uid(conn, member_uid)
    role = users.role_of(conn, workspace_id, member.id) if member else None
    if member is None or role is None:
        raise NotFound("There is no such member.")
    return member, role
