"""Add and edit a destination: its declaration as a form, the test beside it, Save behind the gate."""

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import draft
from broadcast.connections import UNREADABLE
from broadcast.destination import Destination
from broadcast.errors import (
    Conflict,
    GateClosed,
    NotFound,
    SecretRequired,
    SettingsError,
    TooManyRequests,
    VaultError,
)
from broadcast.report import Report
from broadcast.store.destinations import StoredDestination
from web import filter_rules, proofs, security
from web.forms import GROUPS, PREFIX, PRIVACY, REGIONS, SAMPLERS, DestinationForm, destination_form

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


@blueprint.post(f"{_ADD}/rows")
@security.page("admin")
def rows_new(type_slug: str) -> ResponseReturnValue:
    """Add or remove a header or a filter rule; nothing is saved."""
    return _rows(_adding(type_slug))


@blueprint.post(f"{_EDIT}/rows")
@security.page("admin")
def rows_saved(uid: Any) -> ResponseReturnValue:
    """Add or remove a header or a filter rule; nothing is saved."""
    return _rows(_changing(str(uid)))


@blueprint.post(f"{_ADD}/preview")
@security.page("admin")
def preview_new(type_slug: str) -> ResponseReturnValue:
    """Show what would be sent by what the form holds; nothing is sent or saved."""
    return _preview(_adding(type_slug))


@blueprint.post(f"{_EDIT}/preview")
@security.page("admin")
def preview_saved(uid: Any) -> ResponseReturnValue:
    """Show what would be sent by what the form holds, with the stored secrets where none is entered."""
    return _preview(_changing(str(uid)))


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
    keys = security.services().accounts.keys_of(security.viewer().workspace.id)
    data = request.form if request.method == "POST" else None
    return destination_form(
        editing.type,
        data=data,
        stored=editing.stored,
        keys=[key for key in keys if key.kind == "api"],
        passed=passed,
    )


# -- rows ----------------------------------------------------------------------------------------


def _rows(editing: Editing) -> ResponseReturnValue:
    """Show the form with one row more or less; a script gets the filter rules alone."""
    form = _form(editing)
    secrets_went = form.holds_secrets()
    form.change(request.form.get("do", ""))
    if _by_script():
        return render_template("_filter_rules.html", form=form, urls=_urls(editing), **_RULE_WORDS)
    notes = ["Secrets do not come back to a page: enter them again."] if secrets_went else []
    return _render(editing, form, notes=notes)


def _by_script() -> bool:
    return request.headers.get("X-Requested-With") == "fetch"


# -- preview -------------------------------------------------------------------------------------


def _preview(editing: Editing) -> ResponseReturnValue:
    form = _form(editing)
    services = security.services()
    chosen = request.form.get("receipt_id", "").strip()
    try:
        found = services.connections.imagined(
            security.viewer().workspace,
            form.body(editing.slug),
            uid=editing.uid,
            receipt_id=chosen or None,
            now_us=services.clock(),
        )
    except SettingsError as error:
        homeless = form.place(error.problems)
        # A script gets the preview alone: what is wrong is named there, and not beside its field.
        named = list(error.problems.values()) if _by_script() else homeless
        words = named or ["Some values need a correction first."]
        found = {"problems": dict(enumerate(words))}
    except VaultError:
        found = {"problems": {"config": UNREADABLE}}
    if _by_script():
        return render_template("_preview.html", preview=found)
    return _render(editing, form, preview=found, chosen=chosen)


# -- test ----------------------------------------------------------------------------------------


def _test(editing: Editing) -> ResponseReturnValue:
    """Test the posted values; a script gets the panel alone, a plain post the whole page."""
    form = _form(editing)
    try:
        report, wait = _report(editing, form), None
    except TooManyRequests as error:
        report, wait = None, str(error)
    if report is not None:
        form.place(proofs.problems(editing.type, report))
    if _by_script():
        return _panel(editing, form, report, wait), 429 if wait else 200
    return _render(editing, form, report=report, wait=wait)


def _report(editing: Editing, form: DestinationForm) -> Report:
    services, viewer = security.services(), security.viewer()
    form.validate()
    wrong = {
        field.name.removeprefix(PREFIX): str(field.errors[0]) for field in form.settings() if field.errors
    }
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
        words = _secret_words(editing, form, error)
        return Report(ok=False, stage="fields", message="Nothing was sent.", problems=words)


def _secret_words(editing: Editing, form: DestinationForm, error: SecretRequired) -> dict[str, str]:
    named = {
        spec.outside: "the values of the headers" if spec.kind == "headers" else f"the {spec.label}"
        for spec in editing.type.specs()
    }
    why = "Address changed" if _is_moved(editing, form) else "What is stored cannot be opened"
    return {name: f"{why}: enter {named.get(name, name)} again." for name in error.fields}


def _is_moved(editing: Editing, form: DestinationForm) -> bool:
    """Whether the address asks for the secrets, and not a key of this server that is lost."""
    if editing.stored is None:
        return False
    try:
        draft.require_fresh_secrets(editing.type, editing.stored, form.body(editing.slug)["config"])
    except SecretRequired:
        return True
    return False


# -- save ----------------------------------------------------------------------------------------


def _page(editing: Editing) -> ResponseReturnValue:
    if request.method == "GET":
        return _render(editing, _form(editing))
    given = request.form.get("fingerprint") or None
    form = _form(editing, passed=given is not None)
    fingerprint = given if _is_as_tested(form) else None
    if not form.validate():
        return _render(editing, form), 422
    try:
        stored = _save(editing, form, fingerprint)
    except (GateClosed, SecretRequired, SettingsError, Conflict) as error:
        return _refused(editing, form, error, late=given is not None)
    target = url_for("destination.page", slug=security.viewer().workspace.slug, uid=stored.uid)
    return security.flash(redirect(target, 303), "changed" if editing.stored else "saved")


def _is_as_tested(form: DestinationForm) -> bool:
    """Whether the secrets are those of the passed test: none was entered since, no header came or went."""
    headers = form.headers()
    tested = request.form.get("tested-headers", "")
    return not form.holds_secrets() and (headers is None or headers.names_of() == tested)


def _refused(
    editing: Editing,
    form: DestinationForm,
    error: GateClosed | SecretRequired | SettingsError | Conflict,
    *,
    late: bool,
) -> ResponseReturnValue:
    """Show the form again with what was wrong beside its field."""
    if isinstance(error, GateClosed):
        form.place(proofs.problems(editing.type, error.report))
        return _render(editing, form, report=error.report), 422
    if isinstance(error, Conflict) and error.reason == "stale":
        return _render(editing, form, stale=True), 409
    if isinstance(error, Conflict):
        homeless = form.place({error.field or "": str(error)}) and [str(error)]
        return _render(editing, form, problems=homeless), 409
    words = _secret_words(editing, form, error) if isinstance(error, SecretRequired) else error.problems
    if late:
        secret = {spec.outside for spec in editing.type.specs() if spec.secret}
        words = {name: _LATE if name in secret else said for name, said in words.items()}
    return _render(editing, form, problems=form.place(words)), 422


_LATE: Final = (
    "The passed test no longer counts: it is over 10 minutes old, or a value changed. Enter this again."
)


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

_RULE_WORDS: Final[dict[str, Any]] = {
    "rule_fields": filter_rules.FIELDS,
    "rule_operators": filter_rules.OPERATORS,
    "rule_logic": filter_rules.LOGIC,
}


def _urls(editing: Editing) -> dict[str, str]:
    slug = security.viewer().workspace.slug
    target: dict[str, Any]
    if editing.stored is None:
        names, target = ("add", "test_new", "rows_new", "preview_new"), {"type_slug": editing.slug}
    else:
        names, target = ("edit", "test_saved", "rows_saved", "preview_saved"), {"uid": editing.stored.uid}
    addresses = (url_for(f".{name}", slug=slug, **target) for name in names)
    return dict(zip(("save", "test", "rows", "preview"), addresses, strict=True))


def _shown(editing: Editing, form: DestinationForm, report: Report | None) -> dict[str, Any]:
    """Return what the panel needs, alone or within its page."""
    headers = form.headers()
    return {
        "editing": editing,
        "viewer": security.viewer(),
        "report": report,
        "proofs": proofs.proofs(report),
        "tested_headers": headers.names_of() if headers else "",
        "urls": _urls(editing),
        "now_us": security.services().clock(),
    }


def _panel(editing: Editing, form: DestinationForm, report: Report | None, wait: str | None) -> str:
    wrong = {
        field.name.removeprefix(PREFIX): str(field.errors[0]) for field in form.settings() if field.errors
    }
    return render_template("_test_panel.html", wait=wait, wrong=wrong, **_shown(editing, form, report))


def _render(
    editing: Editing,
    form: DestinationForm,
    *,
    report: Report | None = None,
    wait: str | None = None,
    problems: list[str] | None = None,
    notes: list[str] | None = None,
    stale: bool = False,
    preview: dict[str, Any] | None = None,
    chosen: str = "",
) -> str:
    form.conceal()
    stored = editing.stored
    return render_template(
        "destination_form.html",
        here="observability",
        form=form,
        specs={PREFIX + spec.outside: spec for spec in editing.type.specs()},
        masks={PREFIX + name: mask for name, mask in (stored.masks if stored else {}).items()},
        privacy=PRIVACY,
        samplers=SAMPLERS,
        preview=preview,
        chosen=chosen,
        groups=GROUPS,
        regions=REGIONS,
        first_wrong=form.first_wrong(),
        # The version that was shown: saving again must not overwrite what somebody else saved meanwhile.
        shown_version=request.form.get("version", type=int) or (stored.version if stored else None),
        stale=stale,
        wait=wait,
        wrong={},
        problems=problems or [],
        notes=notes or [],
        **_RULE_WORDS,
        **_shown(editing, form, report),
    )
