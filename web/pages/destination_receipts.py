"""The receipts behind a ledger's term: every number of the proof can be looked into."""

from typing import Any, Final

from flask import Blueprint, render_template, request
from werkzeug.exceptions import NotFound

from broadcast import fated
from web import security
from web.pages.trail import trail

blueprint: Final = Blueprint("destination_receipts", __name__)


@blueprint.get("/w/<slug>/settings/observability/<uuid:uid>/receipts")
@security.page()
def page(uid: Any) -> str:
    """List the receipts of one fate, or all of them."""
    services, viewer = security.services(), security.viewer()
    stored = services.connections.get(viewer.workspace, str(uid))
    fate = request.args.get("fate") or None
    if fate is not None and fate not in fated.TERMS:
        raise NotFound
    found, here = trail().read(lambda mark: fated.items(services.store, stored, fate, mark))
    return render_template(
        "destination_receipts.html",
        here="observability",
        viewer=viewer,
        stored=stored,
        fate=fate,
        terms=fated.TERMS,
        ledger=services.connections.ledger(viewer.workspace, stored.uid),
        found=found,
        newer=here.newer(),
        older=here.older(found.older),
    )
