"""Add and edit a destination: its declaration as a form, the test beside it, Save behind the gate."""

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.destination import Destination
from broadcast.errors import Conflict, GateClosed, NotFound, SecretRequired, SettingsError, TooManyRequests
from broadcast.report import Report
from broadcast.store.destinations import StoredDestination
from web import security
from web.forms import PREFIX, PRIVACY, DestinationForm, destination_form

blueprint: Final = Blueprint("destination_form", __name__)
_ADD: Final = "/w/<slug>/settings/observability/add/<type_slug>"
_EDIT: Final = "/w/<slug>/settings/observability/<uuid:uid>/edit"


@dataclass(frozen=True, kw_only=True)
class Editing:
    """What is being made or changed."""

    slug: str
    type: type[Destination]
    stored: StoredDestination | None = None

    @property
    def uid(self) -> str | None:
        """The destination's outside id, None for a new one."""
        return self.stored.uid if self.stored else None


@blueprint.route(_ADD, methods=["GET", "POST"])
@security.page("admin")
def add(type_slug: str) -> ResponseReturnValue:
    """Show the empty form, or save what passed its test."""
    return _page(_adding(type_slug))


@blueprint.post(f"{_ADD}/test")
@security.page("admin")
def test_new(type_slug: str) -> ResponseReturnValue:
    """Test what the form holds."""
    return _test(_adding(type_slug))


@blueprint.route(_EDIT, methods=["GET", "POST"])
@security.page("admin")
def edit(uid: Any) -> ResponseReturnValue:
    """Show what is saved, secrets masked, or save a change."""
    return _page(_changing(str(uid)))


@blueprint.post(f"{_EDIT}/test")
@security.page("admin")
def test_saved(uid: Any) -> ResponseReturnValue:
    """Test what the form holds, with the stored secrets where none is entered."""
    return _test(_changing(str(uid)))


def _adding(slug: str) -> Editing:
    kind = security.services().types.get(slug)
    if kind is None:
        raise NotFound("There is no such destination type.")
    return Editing(slug=slug, type=kind)


def _changing(uid: str) -> Editing:
    services = security.services()
    stored = services.connections.get(security.viewer().workspace, uid)
    if stored.origin == "operator":
        raise NotFound("The operator set this destination; it cannot be changed here.")
    return Editing(slug=stored.type, type=services.types[stored.type], stored=stored)


def _form(editing: Editing, *, passed: bool = False) -> DestinationForm:
    keys = activity.keys_of(security.services().store, security.viewer().workspace)
    data = request.form if request.method == "POST" else None
    return destination_form(
        editing.type,
        data=data,
        stored=editing.stored,
        keys=[key for key in keys if key.kind == "api"],
        passed=passed,
    )


# -- test ----------------------------------------------------------------------------------------


def _test(editing: Editing) -> ResponseReturnValue:
    """Test the posted values; a script gets the panel alone, a plain post the whole page."""
    form = _form(editing)
    try:
        report, wait = _report(editing, form), None
    except TooManyRequests as error:
        report, wait = None, str(error)
    if report is not None:
        form.place(_problems(editing, report))
    if request.headers.get("X-Requested-With") == "fetch":
        return _panel(editing, form, report, wait)
    return _render(editing, form, report=report, wait=wait)


def _report(editing: Editing, form: DestinationForm) -> Report:
    services, viewer = security.services(), security.viewer()
    form.validate()
    wrong = {field.name: str(field.errors[0]) for field in form.settings() if field.errors}
    if wrong:
        return Report(
            ok=False, stage="fields", message="Some values need a correction first.", problems=wrong
        )
    now_us = services.clock()
    try:
        with services.accounts.testing(viewer.workspace.id, now_us):
            return services.connections.test(
                viewer.workspace, form.body(editing.slug), uid=editing.uid, now_us=now_us
            )
    except SecretRequired as error:
        return Report(
            ok=False,
            stage="fields",
            message="The address changed, so nothing was sent.",
            problems=_secret_words(editing, error),
        )


def _secret_words(editing: Editing, error: SecretRequired) -> dict[str, str]:
    labels = {spec.outside: spec.label for spec in editing.type.specs()}
    return {name: f"Address changed: enter the {labels.get(name, name)} again." for name in error.fields}


def _problems(editing: Editing, report: Report) -> dict[str, str]:
    """Return the field a failed test is shown under: a credential under the key, a path under the URL."""
    if report.problems:
        return report.problems
    wanted = {"credential": "secret", "address": "url", "dns": "url", "connect": "url", "tls": "url"}.get(
        report.stage
    )
    if report.ok or (wanted is None and report.status_code != 404):
        return {}
    found = [spec.outside for spec in editing.type.specs() if spec.kind == (wanted or "url")]
    return {found[-1]: report.message} if found else {}


# -- save ----------------------------------------------------------------------------------------


def _page(editing: Editing) -> ResponseReturnValue:
    if request.method == "GET":
        return _render(editing, _form(editing))
    fingerprint = request.form.get("fingerprint") or None
    form = _form(editing, passed=fingerprint is not None)
    if not form.validate():
        return _render(editing, form), 422
    try:
        stored = _save(editing, form, fingerprint)
    except (GateClosed, SecretRequired, SettingsError, Conflict) as error:
        return _refused(editing, form, error)
    target = url_for("destination.page", slug=security.viewer().workspace.slug, uid=stored.uid)
    return security.flash(redirect(target, 303), "changed" if editing.stored else "saved")


def _refused(
    editing: Editing, form: DestinationForm, error: GateClosed | SecretRequired | SettingsError | Conflict
) -> ResponseReturnValue:
    """Show the form again with what was wrong beside its field."""
    if isinstance(error, GateClosed):
        form.place(_problems(editing, error.report))
        return _render(editing, form, report=error.report), 422
    if isinstance(error, Conflict):
        homeless = form.place({error.field or "": str(error)}) and [str(error)]
        return _render(editing, form, homeless=homeless), 409
    words = _secret_words(editing, error) if isinstance(error, SecretRequired) else error.problems
    return _render(editing, form, homeless=form.place(words)), 422


def _save(editing: Editing, form: DestinationForm, fingerprint: str | None) -> StoredDestination:
    services, viewer = security.services(), security.viewer()
    now_us, body = services.clock(), form.body(editing.slug)
    if editing.stored is None:
        return services.connections.create(
            viewer.workspace, viewer.user.id, body, fingerprint=fingerprint, now_us=now_us
        )
    stored = services.connections.update(
        viewer.workspace,
        viewer.user.id,
        editing.stored.uid,
        body,
        fingerprint=fingerprint,
        expected_version=request.form.get("version", type=int),
        now_us=now_us,
    )
    if stored.paused_by == "answer" and fingerprint is not None:
        # What paused it was an answer; exactly these values have just had a good one.
        stored = services.connections.resume(viewer.workspace, viewer.user.id, stored.uid, now_us=now_us)
    return stored


# -- show ----------------------------------------------------------------------------------------


def _facts(editing: Editing) -> dict[str, Any]:
    slug = security.viewer().workspace.slug
    if editing.stored is None:
        save = url_for(".add", slug=slug, type_slug=editing.slug)
        return {"save": save, "test": url_for(".test_new", slug=slug, type_slug=editing.slug)}
    uid = editing.stored.uid
    return {"save": url_for(".edit", slug=slug, uid=uid), "test": url_for(".test_saved", slug=slug, uid=uid)}


def _panel(
    editing: Editing, form: DestinationForm, report: Report | None, wait: str | None
) -> ResponseReturnValue:
    wrong = {
        field.name: str(field.errors[0]) for field in form if field.errors and field.name.startswith(PREFIX)
    }
    body = render_template(
        "_test_panel.html",
        editing=editing,
        report=report,
        wait=wait,
        urls=_facts(editing),
        now_us=security.services().clock(),
        viewer=security.viewer(),
        wrong=wrong,
    )
    return body, 429 if wait else 200


def _render(
    editing: Editing,
    form: DestinationForm,
    *,
    report: Report | None = None,
    wait: str | None = None,
    homeless: list[str] | None = None,
) -> str:
    form.conceal()
    return render_template(
        "destination_form.html",
        here="observability",
        viewer=security.viewer(),
        editing=editing,
        form=form,
        specs={PREFIX + spec.outside: spec for spec in editing.type.specs()},
        masks={
            PREFIX + name: mask for name, mask in (editing.stored.masks if editing.stored else {}).items()
        },
        privacy=PRIVACY,
        report=report,
        wait=wait,
        wrong={},
        homeless=homeless or [],
        urls=_facts(editing),
        now_us=security.services().clock(),
    )
