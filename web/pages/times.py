"""The zone of a page's times: one press with a script, a list of zones without one."""

from typing import Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from web import security, zones

blueprint: Final = Blueprint("times", __name__)
_BASE: Final = "/w/<slug>/settings/times"


@blueprint.get(_BASE)
@security.page()
def page() -> str:
    """Offer every zone."""
    return _render()


@blueprint.post(_BASE)
@security.page()
def choose() -> ResponseReturnValue:
    """Remember a zone and go back."""
    chosen = request.form.get("zone", "").strip()
    if zones.known(chosen) is None:
        return _render(wrong="This server does not know this zone. Choose another one."), 422
    answer = redirect(_back(request.form.get("back", "")), 303)
    return zones.keep(answer, chosen, secure=security.services().config.public_url.startswith("https://"))


def _back(path: str) -> str:
    """Return where the viewer came from: an address of this workspace, or Activity."""
    home = url_for("activity.requests", slug=security.viewer().workspace.slug)
    parts = urlsplit(path)
    inside = path.startswith(home.removesuffix("activity")) and not parts.netloc and "\\" not in path
    return path if inside and path.isprintable() else home


def _render(wrong: str = "") -> str:
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return render_template(
        "times.html",
        here="times",
        viewer=security.viewer(),
        names=("UTC", *names),
        chosen=zones.name(),
        back=_back(request.values.get("back", "")),
        wrong=wrong,
    )
