"""A test's report as the three facts that the page shows, each with its evidence in words."""

from dataclasses import dataclass, replace
from typing import Final

from broadcast.destination import Destination
from broadcast.report import Fact, Report
from web import formats

LABELS: Final = ("Reachable", "Credential accepted", "Data accepted")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One fact: yes, no or not tried, and what shows it."""

    label: str
    fact: Fact
    words: str


def proofs(report: Report | None) -> tuple[Proof, ...]:
    """Return exactly three facts, whatever happened."""
    if report is None:
        return tuple(Proof(label=label, fact="not_tried", words="") for label in LABELS)
    facts = (report.reachable, report.credential_accepted, report.data_accepted)
    words = (_reached(report), _credential(report), _data(report))
    return tuple(
        Proof(label=label, fact=fact, words=said)
        for label, fact, said in zip(LABELS, facts, words, strict=True)
    )


def _reached(report: Report) -> str:
    host = str(report.evidence.get("host") or "")
    if report.reachable == "yes":
        took = formats.millis(report.latency_ms) if report.latency_ms is not None else ""
        return ", ".join(part for part in (host, report.evidence.get("tls"), took) if part)
    if report.reachable == "not_tried":
        return "Needs corrected values" if report.stage == "fields" else "Nothing was sent"
    ended = {
        "address": "this server does not send there",
        "dns": "no address for this name",
        "tls": "answers, but its certificate is not accepted",
    }.get(report.stage, "no connection")
    return f"{host}: {ended}" if host else ended.capitalize()


def _credential(report: Report) -> str:
    if report.credential_accepted == "no":
        return answered(report) or "It cannot be sent as it is"
    if report.credential_accepted == "yes":
        if report.ok and report.data_accepted != "yes":
            return "Accepted by a call of its own"
        return "Accepted with the span" if report.ok else f"Not what {_status(report)} is about"
    if report.reachable != "yes":
        return "Needs a connection"
    return f"{_status(report)} does not tell" if report.status_code else "No complete answer came"


def _data(report: Report) -> str:
    rejected = report.evidence.get("rejected_spans")
    if report.evidence.get("data_seen") == "yes":
        return f"{report.status_code}, and the span was read back"
    if report.ok and report.data_accepted == "not_tried":
        return f"{_status(report)} is the answer to anything: look for the span there"
    if report.data_accepted == "yes":
        return f"{report.status_code}, 1 of 1 span accepted, 0 rejected"
    if report.data_accepted == "no":
        partly = f"{report.status_code}, 0 of 1 span accepted, {rejected} rejected" if rejected else ""
        return partly or answered(report)
    if report.credential_accepted == "no":
        return "Needs an accepted credential"
    return "Needs a connection" if report.reachable != "yes" else "No complete answer came"


def answered(report: Report) -> str:
    """Return status, its words and how long it took."""
    took = formats.millis(report.latency_ms) if report.latency_ms is not None else ""
    status = _status(report)
    return ", ".join(part for part in (status, took) if part) if status else ""


def _status(report: Report) -> str:
    reason = str(report.evidence.get("status_words") or "")
    return f"{report.status_code} {reason}".strip() if report.status_code else ""


# -- under which field a failed test is shown --------------------------------------------------------


def problems(cls: type[Destination], report: Report) -> dict[str, str]:
    """Return the sentence under the field at fault: a credential under the key, a path under the URL."""
    if report.problems or report.ok:
        return dict(report.problems)
    if report.evidence.get("metrics") == "no":
        said = f" ({report.status_code})" if report.status_code else ""
        return {"metrics": f"{cls.title} took the span, and no metrics{said}."}
    if report.stage == "credential" and report.credential_accepted == "not_tried":
        # Whoever answered has not looked at the key: what is wrong, if anything, is the address.
        report = replace(report, stage="data")
    wanted = _FIELDS.get(report.stage) or _FIELDS.get(str(report.status_code), ())
    if _is_web_page(report):
        wanted = _URL
    found = next((spec for kind in wanted for spec in cls.specs() if spec.kind == kind), None)
    what = "these headers" if found and found.kind == "headers" else "this key"
    return {found.outside: _sentence(cls.title, what, report)} if found else {}


_URL: Final = ("url",)
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "credential": ("secret", "headers"),
    **dict.fromkeys(("address", "dns", "connect", "tls"), _URL),
    **dict.fromkeys(("404", "405", "301", "302", "303", "307", "308"), _URL),
}


def _is_web_page(report: Report) -> bool:
    """Whether a success said nothing about spans: then a site answers at this address."""
    good = report.status_code is not None and 200 <= report.status_code < 300
    return good and report.data_accepted == "no" and "web page" in report.message


def _sentence(title: str, what: str, report: Report) -> str:
    code = report.status_code
    if report.stage == "credential":
        if code is None:
            return report.message
        if code == 403:
            return f"{title} knows {what} but does not allow writing traces (403)."
        return f"{title} refused {what} ({code})." if code >= 400 else f"{title} does not take {what}."
    if _is_web_page(report):
        return "A web page answers at this address."
    return {
        "address": "This server does not send to this address.",
        "dns": "This host name has no address.",
        "connect": "Nothing answers at this host and port.",
        "tls": "The certificate of this host was not accepted.",
    }.get(report.stage, f"{title} takes no traces at this address ({code}).")
