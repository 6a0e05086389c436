"""The people of a workspace: invite, change a role, remove, leave."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.errors import Conflict, Forbidden, SettingsError
from broadcast.members import ROLES, givable
from broadcast.store.users import User
from web import security

blueprint: Final = Blueprint("members", __name__)
_BASE: Final = "/w/<slug>/settings/members"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A member as the viewer sees them; `may_become` is empty where the viewer may change nothing."""

    user: User
    role: str
    only_owner: bool
    may_become: tuple[str, ...]


@blueprint.get(_BASE)
@security.page()
def page() -> str:
    """List the members, and for owner and admin the invitations that are open."""
    return _render()


@blueprint.post(_BASE)
@security.page("admin")
def invite() -> ResponseReturnValue:
    """Make a link for one person and show it, once."""
    services, viewer = security.services(), security.viewer()
    try:
        made = services.invitations.invite(
            viewer.workspace,
            viewer.user,
            email=request.form.get("email", ""),
            role=request.form.get("role", ""),
        )
    except SettingsError as error:
        return _render(wrong=error.problems["email"]), 422
    except Forbidden as error:
        return _render(wrong=str(error)), 403
    except Conflict as error:
        return _render(wrong=str(error)), 409
    return _render(made=made)


@blueprint.post(f"{_BASE}/invitations/<invitation_uid>/revoke")
@security.page("admin")
def revoke(invitation_uid: str) -> ResponseReturnValue:
    """End an invitation."""
    viewer = security.viewer()
    security.services().invitations.revoke(viewer.workspace.id, viewer.user.id, invitation_uid)
    return _back("invitation_revoked")


@blueprint.post(f"{_BASE}/<member_uid>/role")
@security.page("admin")
def change_role(member_uid: str) -> ResponseReturnValue:
    """Give a member another role."""
    services, viewer = security.services(), security.viewer()
    try:
        services.accounts.change_role(
            workspace_id=viewer.workspace.id,
            user_id=viewer.user.id,
            member_uid=member_uid,
            role=request.form.get("role", ""),
            now_us=services.clock(),
        )
    except Conflict as error:
        return _render(refused=str(error)), 409
    return _back("role_changed")


@blueprint.route(f"{_BASE}/<member_uid>/remove", methods=["GET", "POST"])
@security.page("admin")
def remove(member_uid: str) -> ResponseReturnValue:
    """Ask for the address, then take a member out."""
    services, viewer = security.services(), security.viewer()
    member, _ = services.accounts.member(viewer.workspace.id, member_uid)
    if asked := _ask(member, name=member.email):
        return asked
    services.accounts.remove_member(
        workspace_id=viewer.workspace.id,
        user_id=viewer.user.id,
        member_uid=member_uid,
        now_us=services.clock(),
    )
    return _back("member_removed")


@blueprint.route(f"{_BASE}/leave", methods=["GET", "POST"])
@security.page()
def leave() -> ResponseReturnValue:
    """Ask for the workspace's name, then leave it."""
    services, viewer = security.services(), security.viewer()
    if asked := _ask(viewer.user, name=viewer.workspace.name):
        return asked
    services.accounts.leave(workspace_id=viewer.workspace.id, user=viewer.user, now_us=services.clock())
    return security.flash(redirect("/", 303), "left")


def _ask(member: User, *, name: str) -> ResponseReturnValue | None:
    """Return the page that asks for a name, None once it was typed and somebody else is an owner."""
    only_owner = _owners(_members()) == {member.id}
    posted = request.method == "POST"
    if posted and not only_owner and request.form.get("name", "").strip() == name:
        return None
    words = render_template(
        "member_part.html",
        here="members",
        viewer=security.viewer(),
        member=member,
        only_owner=only_owner,
        wrong=posted,
    )
    return words, 200 if not posted else 409 if only_owner else 422


def _members() -> list[tuple[User, str]]:
    return activity.members_of(security.services().store, security.viewer().workspace)


def _owners(found: Iterable[tuple[User, str]]) -> set[int]:
    return {user.id for user, role in found if role == "owner"}


def _back(note: str) -> ResponseReturnValue:
    return security.flash(redirect(url_for(".page", slug=security.viewer().workspace.slug), 303), note)


def _render(**facts: Any) -> str:
    services, viewer = security.services(), security.viewer()
    offered = givable(viewer.role)
    found = _members()
    owners = _owners(found)
    people = [
        Person(
            user=user,
            role=role,
            only_owner=owners == {user.id},
            may_become=tuple(reversed(offered)) if role in offered and owners != {user.id} else (),
        )
        for user, role in found
    ]
    people.sort(key=lambda person: -ROLES.index(person.role))
    return render_template(
        "members.html",
        here="members",
        viewer=viewer,
        people=people,
        offered=tuple(reversed(offered)),
        invitations=services.invitations.open_in(viewer.workspace.id) if offered else (),
        sends_mail=services.invitations.sends_mail,
        given=request.form,
        **facts,
    )
