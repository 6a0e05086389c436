"""Write what the documents say of the code from the code itself: `make docs`.

The README's table of destinations comes from their declarations, the tables of docs/vocabulary.md from what
they make of a receipt, the table of answers in docs/delivery.md from the functions that judge answers and
time the next try.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from broadcast import genai_names, grpc_answers, messages, retry
from broadcast.destination import Destination, Outcome, Remedy, Response, Verdict, judge_otlp
from broadcast.span import Attributes
from tests import cli_page, metric_page, package_map
from tests.destinations.wire import RECEIPT

README = Path(__file__).parents[1] / "README.md"
DELIVERY = README.parent / "docs" / "delivery.md"
VOCABULARY = DELIVERY.with_name("vocabulary.md")


def table(types: Mapping[str, type[Destination]]) -> str:
    """Return the table, by title; a setting that is secret or optional says so."""
    rows = [
        f"| {_name(kind)} | `{slug}` | {_settings(kind)} | {wire(kind)} |" for slug, kind in by_title(types)
    ]
    return "\n".join(
        ["| destination | `type` | settings (`config`) | sent as |", "| --- | --- | --- | --- |", *rows, ""]
    )


def by_title(types: Mapping[str, type[Destination]]) -> list[tuple[str, type[Destination]]]:
    """Return the types in the order in which people look for them."""
    return sorted(types.items(), key=lambda item: item[1].title.lower())


def _name(kind: type[Destination]) -> str:
    return f"[{kind.title}]({kind.docs})" if kind.docs.startswith("https://") else kind.title


def _settings(kind: type[Destination]) -> str:
    shown = []
    for spec in kind.specs():
        notes = [word for word, holds in (("secret", spec.secret), ("optional", not spec.required)) if holds]
        shown.append(f"`{spec.outside}`" + (f" ({', '.join(notes)})" if notes else ""))
    return ", ".join(shown) or "none"


def wire(kind: type[Destination]) -> str:
    """Return what a request to this type holds."""
    encoding = kind.sent_as or {"json": "OTLP/JSON", "protobuf": "OTLP protobuf"}[kind.encoding]
    return f"{encoding}, gzip" if kind.compress else encoding


# -- what a type adds to a receipt's spans -----------------------------------------------------------------


def vocabulary(types: Mapping[str, type[Destination]]) -> str:
    """Return a table for every type with words of its own: each attribute, and its value for one receipt."""
    told, silent = [], []
    for _, kind in by_title(types):
        if kind.has_own_api():
            continue
        rows = list(vocabulary_rows(kind.parse({spec.outside: spec.example for spec in kind.specs()})))
        if rows:
            head = [f"### {kind.title}", "", "| attribute | where | for example |", "| --- | --- | --- |"]
            told += [*head, *(f"| `{name}` | {where} | {_code(value)} |" for name, where, value in rows), ""]
        else:
            silent.append(kind.title)
    return "\n".join([*told, f"These get the base profile alone: {', '.join(silent)}.", ""])


def vocabulary_rows(destination: Destination) -> Iterable[tuple[str, str, str]]:
    """Return what a destination adds to one receipt: attribute, where it stands, and its value."""
    asked = messages.input_messages(RECEIPT.input)
    answered = messages.output_messages(RECEIPT.output, "stop")
    own: Attributes = dict(destination.content_attributes(asked, answered))
    if destination.prompt_attributes:
        messages.add_content(own, RECEIPT, prompt_attributes=True)
        own = {name: own[name] for name in own if name not in _IN_THE_PROFILE}
    for where, found in (
        ("resource", destination.resource_attributes()),
        ("generation", destination.extra_attributes(RECEIPT)),
        ("generation, with content", own),
    ):
        yield from ((name, where, _shown(value)) for name, value in found.items())


_IN_THE_PROFILE: Final = (genai_names.INPUT_MESSAGES, genai_names.OUTPUT_MESSAGES)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


# -- what each answer means ------------------------------------------------------------------------------

_STATUSES: Final = (
    *(301, 302, 307, 308, 400, 401, 403, 404, 405, 407, 408, 410, 413, 415, 422, 429),
    *(500, 501, 502, 503, 504, 505, 507),
)

_DONE: Final[Mapping[Remedy, str]] = {
    Remedy.NONE: "The batch is settled; the back-off ends.",
    Remedy.SPLIT: "Halved until the receipt at fault is alone: that one is a dead letter, the others arrive.",
    Remedy.DOUBT: "Tried again with back-off. After three in a row halved: a receipt that fails while its "
    "neighbour passes is a dead letter; where nothing passes it is an outage, and all of it waits.",
    Remedy.WAIT: "Tried again with back-off, for as long as the receipts are kept.",
    Remedy.ATTEND: "Paused: every receipt is held, the workspace is told once, a small batch probes.",
}
_SEEN: Final[Mapping[Verdict, str]] = {
    Verdict.DELIVERED: "Delivering",
    Verdict.PARTLY_DELIVERED: "Delivering; the attempt says how many spans were rejected",
    Verdict.THROTTLED: "Throttled",
    Verdict.NO_ANSWER: "Retrying",
    Verdict.RETRYING: "Retrying",
    Verdict.REJECTED: "Delivering; the dead letter with the destination's words",
    Verdict.REFUSED: "Paused, with what to do",
}


def answers() -> str:
    """Return the table of answers, each judged by the code that judges them."""
    partly = Outcome(verdict=Verdict.PARTLY_DELIVERED, reason="")
    rejected = Outcome(verdict=Verdict.REJECTED, reason="")
    rows = [
        ("2xx", _judged(200)),
        ("2xx, some spans rejected (`partialSuccess`)", partly),
        ("2xx, every span rejected", rejected),
        ("2xx with a web page", _judged(200, {"content-type": "text/html"}, b"<html>")),
        *_by_status(),
        ("503 with `Retry-After`", _judged(503, {"retry-after": "5"})),
        ("no answer within 15 s, no connection, TLS or DNS fails", _failed(Verdict.NO_ANSWER)),
        ("not sent: the address is not allowed, or a secret does not open", _failed(Verdict.REFUSED)),
    ]
    lines = [
        f"| {answer} | `{outcome.verdict}` | {_DONE[outcome.remedy]} | {_SEEN[outcome.verdict]} |"
        for answer, outcome in rows
    ]
    head = ["| answer | attempt | what Broadcast does | what the page says |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines, ""])


def _by_status() -> Iterable[tuple[str, Outcome]]:
    """Return the statuses that people meet, those that are judged alike together."""
    alike: dict[tuple[Verdict, Remedy], list[int]] = {}
    for status in _STATUSES:
        outcome = _judged(status)
        alike.setdefault((outcome.verdict, outcome.remedy), []).append(status)
    return [(", ".join(map(str, statuses)), _judged(statuses[0])) for statuses in alike.values()]


def calls() -> str:
    """Return the table of what comes back over gRPC, each status judged by the code that judges it."""
    alike: dict[int, list[str]] = {}
    for code, status in grpc_answers.HTTP_STATUSES.items():
        alike.setdefault(status, []).append(f"`{code.name}`")
    read = [(status, codes, _judged(status)) for status, codes in sorted(alike.items())]
    rows = [
        f"| {', '.join(codes)} | {status} | `{outcome.verdict}` | {_DONE[outcome.remedy]} |"
        for status, codes, outcome in read
    ]
    head = ["| gRPC | read as | attempt | what Broadcast does |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


def _judged(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Outcome:
    return judge_otlp(
        Response(
            status=status,
            reason="",
            headers=headers or {},
            body=body,
            duration_ms=0.0,
            sent_bytes=0,
            host="",
        )
    )


def _failed(verdict: Verdict) -> Outcome:
    return Outcome(verdict=verdict, reason="")


def waits() -> str:
    """Return both schedules, as the code has them."""
    tries = ", ".join(f"{retry.delay_us(count, jitter=0) / 1e6:g}" for count in range(1, 9))
    probes = ", ".join(f"{retry.probe_us(count, jitter=0) / 60e6:g}" for count in range(1, 8))
    return f"Back-off, in seconds: {tries}, and so on.\nProbes, in minutes: {probes}, and so on.\n"


# -- where it is written -----------------------------------------------------------------------------------


def written(readme: str, types: Mapping[str, type[Destination]]) -> str:
    """Return the README with today's table in its place."""
    return _between("destinations", readme, table(types))


def delivery_written(text: str) -> str:
    """Return docs/delivery.md with today's answers and waits in their places."""
    made = {"answers": answers, "calls": calls, "waits": waits, "metrics": metric_page.table}
    for name, new in made.items():
        text = _between(name, text, new())
    return text


def vocabulary_written(text: str, types: Mapping[str, type[Destination]]) -> str:
    """Return docs/vocabulary.md with today's tables in their place."""
    return _between("vocabulary", text, vocabulary(types))


def _between(name: str, text: str, new: str) -> str:
    """Return a text with what stands between two comments of this name replaced."""
    place = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- /{name} -->)", re.DOTALL)
    return place.sub(lambda _: new, text)


def main() -> None:
    """Rewrite README.md, docs/cli.md, docs/delivery.md, docs/vocabulary.md, and the map of the package."""
    from destinations import TYPES  # noqa: PLC0415 - found by looking into a folder

    package_map.MAP.write_text(package_map.written(), encoding="utf-8")
    cli_page.PAGE.write_text(cli_page.written(cli_page.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    README.write_text(written(README.read_text(encoding="utf-8"), TYPES), encoding="utf-8")
    VOCABULARY.write_text(vocabulary_written(VOCABULARY.read_text(encoding="utf-8"), TYPES), encoding="utf-8")
    DELIVERY.write_text(delivery_written(DELIVERY.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
