"""A page for every destination type, made of its declaration and of nothing else."""

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from broadcast.destination import Destination
from broadcast.errors import SettingsError
from broadcast.fields import Spec
from tests.site.markdown import block, bullets, code, prose, sections, sentence, steps, table
from tests.write_docs import README, by_title, vocabulary_rows, wire
from web.pages.observability import CATEGORIES

FOLDER: Final = "destinations"
_CATEGORIES: Final = dict(CATEGORIES)
_KINDS: Final[Mapping[str, str]] = {
    "text": "text",
    "url": "address",
    "secret": "secret",
    "headers": "headers, secret",
    "choice": "choice",
    "flag": "true or false",
}
_PLACEHOLDER: Final = "..."


def path_of(slug: str) -> str:
    """Return where the page of a type is, below the documents."""
    return f"{FOLDER}/{slug}.md"


def pages(types: Mapping[str, type[Destination]]) -> dict[str, str]:
    """Return every page by its path, the list of all of them first."""
    return {f"{FOLDER}/index.md": index(types)} | {
        path_of(slug): page(slug, kind) for slug, kind in by_title(types)
    }


def index(types: Mapping[str, type[Destination]]) -> str:
    """Return the list of the types, by category."""
    intro = (
        "# Destinations\n\nA destination is saved only after a live test has passed. Each page says what is "
        "needed, how to get it, what is sent, what the test proves and what an answer means. It is made from "
        "the same declaration as the form, the HTTP API and the checks.\n"
    )
    tables = [
        (
            title,
            table(
                ("destination", "`type`", "sent as", "what it is for"),
                (
                    (f"[{kind.title}]({slug}.md)", code(slug), wire(kind), sentence(kind.__doc__))
                    for slug, kind in by_title(types)
                    if kind.category == category
                ),
            ),
        )
        for category, title in _CATEGORIES.items()
    ]
    return f"{intro}\n{sections(*tables)}"


def page(slug: str, kind: type[Destination]) -> str:
    """Return the page of one type."""
    head = f"# {kind.title}\n\n{sentence(kind.__doc__)}\n\n"
    facts = (
        f"Type `{slug}` · {_CATEGORIES[kind.category]} · {wire(kind)} · [the vendor's page]({kind.docs})\n\n"
    )
    return (
        head
        + facts
        + sections(
            ("What is needed", _needed(kind)),
            ("Set it up", _set_up(kind)),
            ("Settings", _settings(kind)),
            ("Regions", _regions(kind)),
            ("What is often pasted in its place", _instead(kind)),
            ("Over the HTTP API", _request(slug, kind)),
            ("Limits", _limits(kind)),
            ("What the test proves", _proves(kind)),
            ("What its answers mean", _answers(kind)),
            ("Words of its own", _vocabulary(kind)),
            ("Ready-made views", _views(kind)),
            ("The table", block("sql", kind.sql) if kind.sql else ""),
            ("More", _more(slug)),
            ("Where this is from", _sources(kind)),
        )
    )


# -- before it is connected --------------------------------------------------------------------------------


def _needed(kind: type[Destination]) -> str:
    if not (needed := _without_default(kind)):
        return "Nothing but the defaults.\n"
    return bullets(f"**{spec.label}**{_help(spec)}" for spec in needed)


def _without_default(kind: type[Destination]) -> list[Spec]:
    """Return what has to be said: also what is optional only because something else may stand in for it."""
    required = {spec.outside: spec.example for spec in kind.specs() if spec.required}
    try:
        kind.parse(required)
    except SettingsError as lacking:
        required |= lacking.problems
    return [spec for spec in kind.specs() if spec.outside in required]


def _help(spec: Spec) -> str:
    return f": {prose(spec.help)}" if spec.help else ""


def _set_up(kind: type[Destination]) -> str:
    own = (
        f"In Broadcast, open Settings > Observability, choose {kind.title}, enter the settings, press *Test "
    )
    return steps([*map(prose, kind.setup), f"{own}Connection*, then *Save and start delivering*."])


def _settings(kind: type[Destination]) -> str:
    return table(
        ("setting", "`config`", "kind", "default", "for example", "what it is"),
        (
            (
                spec.label,
                code(spec.outside),
                _kind(spec),
                _default(spec),
                code(_shown(spec.example)) if spec.example not in ("", spec.default) else "",
                prose(spec.help),
            )
            for spec in kind.specs()
        ),
    )


def _kind(spec: Spec) -> str:
    return f"one of {', '.join(map(code, spec.choices))}" if spec.choices else _KINDS[spec.kind]


def _default(spec: Spec) -> str:
    if spec.required:
        return "**required**"
    return "none" if spec.default is None or spec.secret else code(_shown(spec.default))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _regions(kind: type[Destination]) -> str:
    return table(
        ("setting", "region", "address"),
        ((spec.label, name, code(address)) for spec in kind.specs() for name, address in spec.known.items()),
    )


def _instead(kind: type[Destination]) -> str:
    said = dict.fromkeys(
        f"**{spec.label}**: {prose(words)}" for spec in kind.specs() for words in spec.instead.values()
    )
    if not said:
        return ""
    return "What belongs elsewhere is recognised before anything is sent:\n\n" + bullets(said)


def example(slug: str, kind: type[Destination]) -> dict[str, object]:
    """Return a request that makes a destination of this type, secrets left to be filled in."""
    config = {spec.outside: _PLACEHOLDER if spec.secret else spec.example for spec in _without_default(kind)}
    return {"type": slug, "name": kind.title, "config": config}


def _request(slug: str, kind: type[Destination]) -> str:
    body = json.dumps(example(slug, kind), indent=2, ensure_ascii=False)
    words = "`POST /api/v1/observability/destinations` with a management key tests it, and makes it where"
    return f"{words} the test passes:\n\n{block('json', body)}"


# -- once it is connected ----------------------------------------------------------------------------------


def _limits(kind: type[Destination]) -> str:
    configured = kind.parse({spec.outside: spec.example for spec in kind.specs()})
    return table(("what", "how much"), _limit_rows(kind, configured)) + _limit_words(kind)


def _limit_rows(kind: type[Destination], configured: Destination) -> Iterator[tuple[str, str]]:
    yield "address, with the examples above", code(configured.endpoint())
    if configured.max_receipts() == 1:
        yield "a request", "one receipt"
    else:
        yield "spans in a request", f"at most {kind.max_spans:,}"
    yield "a request, before compression", f"at most {kind.max_bytes:,} bytes"
    yield "a text, such as a prompt", f"cut to {kind.max_attribute_bytes:,} bytes"
    if kind.max_age_s is None:
        yield "age of a receipt", "no limit of its own; `BROADCAST_RETENTION_DAYS` is the limit"
    else:
        yield "age of a receipt", f"at most {_age(kind.max_age_s)}; an older one expires"


def _age(seconds: int) -> str:
    days = seconds // 86_400
    return f"{days} days" if days > 1 else f"{seconds // 3600} hours"


def _limit_words(kind: type[Destination]) -> str:
    if kind.trace_url is Destination.trace_url:
        return "\nThe page of a request has no link to its trace there.\n"
    return "\nThe page of a request links to its trace there, as far as the settings tell the address.\n"


def _proves(kind: type[Destination]) -> str:
    return bullets((_REACHABLE, _credential(kind), _data(kind)))


_REACHABLE: Final = (
    "**Reachable**: one real, marked span (`broadcast-connection-test`) goes through the encoder and the "
    "transport that deliver, and an answer comes back."
)


def _credential(kind: type[Destination]) -> str:
    if kind.credential_check is not Destination.credential_check:
        return "**Credential accepted**: a call of its own asks the vendor about the credential first."
    if kind.ingest_proves:
        return "**Credential accepted**: by the answer to the span. The vendor refuses a wrong one at once."
    return "**Credential accepted**: cannot be told. The vendor answers alike to any credential."


def _data(kind: type[Destination]) -> str:
    if kind.data_check is not Destination.data_check:
        return "**Data accepted**: the span is read back from the vendor, where the credential may read."
    if kind.ingest_proves:
        return "**Data accepted**: by the answer to the span."
    return "**Data accepted**: cannot be told from the answer, which any data gets. Look for the span there."


def _answers(kind: type[Destination]) -> str:
    hints = table(
        ("answer", "what to do"), ((str(status), prose(hint)) for status, hint in kind.hints.items())
    )
    rest = "What is done about each answer, and when it is tried again, is in [delivery](../delivery.md"
    return f"{hints}\n{rest}#what-each-answer-means).\n"


def _vocabulary(kind: type[Destination]) -> str:
    if kind.has_own_api():
        return ""
    rows = [
        (code(name), where, code(value))
        for name, where, value in vocabulary_rows(
            kind.parse({spec.outside: spec.example for spec in kind.specs()})
        )
    ]
    if not rows:
        return "None: it reads the [base profile](../vocabulary.md), which every destination gets.\n"
    words = "Beside the base profile, for the request that [vocabulary](../vocabulary.md) tells of:\n\n"
    return words + table(("attribute", "where", "for example"), rows)


def _views(kind: type[Destination]) -> str:
    rows = table(("view", "how to use it"), ((view.title, prose(view.use)) for view in kind.views))
    return rows and f"The page of a destination has them as files, made for what is sent there:\n\n{rows}"


def _more(slug: str) -> str:
    """Return a link to what somebody has written about a type by hand."""
    written = (README.parent / "docs" / f"{slug}.md").exists()
    return f"[What its receiver has to know](../{slug}.md).\n" if written else ""


def _sources(kind: type[Destination]) -> str:
    about = inspect.getdoc(sys.modules[kind.__module__]) or ""
    return prose(" ".join(about.split("\n\n", maxsplit=1)[-1].split())) + "\n"
