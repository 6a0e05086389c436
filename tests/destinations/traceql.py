"""A small parser of TraceQL: what the ready-made views use of it, and what each attribute has to be.

https://grafana.com/docs/tempo/latest/traceql/construct-traceql-queries/ ; types decide which column Tempo
reads, so that a comparison with `1` never sees a double, and quantiles are taken of whole numbers only.
"""

import re
from dataclasses import dataclass, field

INTRINSICS = {"duration": "duration", "name": "string", "status": "status", "kind": "kind"}
STATICS = {
    **dict.fromkeys(("true", "false"), "bool"),
    **dict.fromkeys(("error", "ok", "unset"), "status"),
    **dict.fromkeys(("client", "internal", "server", "producer", "consumer"), "kind"),
}
SUMS = {"sum_over_time", "avg_over_time", "min_over_time", "max_over_time"}
COUNTS = {"rate", "count_over_time"}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<STRING>"(?:[^"\\]|\\["\\nt])*")
    | (?P<DURATION>(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+(?![\w.]))
    | (?P<FLOAT>\d+\.\d+)
    | (?P<INT>\d+)
    | (?P<ATTRIBUTE>(?:span|resource|event|link)\.(?:"[^"]+"|[^\s{}()=~!<>&|^,"]+))
    | (?P<WORD>[A-Za-z_]+)
    | (?P<SIGN>=~|!~|!=|<=|>=|&&|\|\||[{}()|,=<>!])
    )""",
    re.VERBOSE,
)


class BadQuery(ValueError):  # noqa: N818 - named by what it is
    """The text is no TraceQL that these views may use."""


@dataclass(frozen=True)
class Use:
    """How a query uses an attribute: the types it may have, any of them."""

    scope: str
    name: str
    types: frozenset[str]


SCALAR = frozenset({"string", "int", "float", "bool"})


@dataclass
class _Parser:
    text: str
    tokens: list[tuple[str, str]]
    at: int = 0
    uses: list[Use] = field(default_factory=list)

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("END", "")

    def take(self, *wanted: str) -> str:
        """Take the next token when it is one of these texts, or of these kinds."""
        kind, text = self.peek()
        if text not in wanted and kind not in wanted:
            raise BadQuery(f"{self.text!r}: {text or 'the end'} where {' or '.join(wanted)} belongs")
        self.at += 1
        return text

    def took(self, wanted: str) -> bool:
        if self.peek()[1] != wanted:
            return False
        self.at += 1
        return True

    # -- the pipeline ----------------------------------------------------------------------------

    def query(self) -> None:
        self.filter()
        stages = 0
        while self.took("|"):
            self.stage(first=not stages)
            stages += 1
        self.take("END")

    def filter(self) -> None:
        self.take("{")
        if not self.took("}"):
            if self.condition() not in {"bool", "any"}:
                raise BadQuery(f"{self.text!r}: a condition is no boolean")
            self.take("}")

    def stage(self, *, first: bool) -> None:
        name = self.take("WORD")
        if name == "topk" and not first:
            self.take("(")
            self.take("INT")
            self.take(")")
        elif name == "select" and first:
            self.attributes()
        elif first and name in {*COUNTS, *SUMS, "quantile_over_time"}:
            self.take("(")
            self.arguments(name)
            self.take(")")
            if self.took("by"):
                self.attributes()
        else:
            raise BadQuery(f"{self.text!r}: no such stage here: {name}")

    def arguments(self, name: str) -> None:
        if name in COUNTS:
            return
        whole = name == "quantile_over_time"
        if not self.took("duration"):
            self.use(frozenset({"int"}) if whole else frozenset({"int", "float"}))
        while whole and self.took(","):
            if not 0 <= float(self.take("FLOAT", "INT")) <= 1:
                raise BadQuery(f"{self.text!r}: a quantile is between 0 and 1")

    def attributes(self) -> None:
        self.take("(")
        while True:
            if self.peek()[1] in INTRINSICS:
                self.at += 1
            else:
                self.use(SCALAR)
            if not self.took(","):
                break
        self.take(")")

    # -- conditions ------------------------------------------------------------------------------

    def condition(self) -> str:
        kind = self.conjunction()
        while self.took("||"):
            kind = self.both(kind, self.conjunction())
        return kind

    def conjunction(self) -> str:
        kind = self.comparison()
        while self.took("&&"):
            kind = self.both(kind, self.comparison())
        return kind

    def both(self, left: str, right: str) -> str:
        if {left, right} - {"bool", "any"}:
            raise BadQuery(f"{self.text!r}: && and || join conditions")
        return "bool"

    def comparison(self) -> str:
        if self.took("("):
            kind = self.condition()
            self.take(")")
            return kind
        if self.peek()[0] == "ATTRIBUTE":
            return self.compared(self.take("ATTRIBUTE"))
        left = self.operand()
        sign = self.peek()[1]
        if sign not in {"=", "!=", "<", ">", "<=", ">=", "=~", "!~"}:
            return left
        self.at += 1
        if self.operand() != left or (sign in {"=~", "!~"} and left != "string"):
            raise BadQuery(f"{self.text!r}: both sides of {sign} have to be of one type")
        return "bool"

    def compared(self, attribute: str) -> str:
        sign = self.peek()[1]
        if sign not in {"=", "!=", "<", ">", "<=", ">=", "=~", "!~"}:
            self.remember(attribute, frozenset({"bool"}))
            return "bool"
        self.at += 1
        kind = self.operand()
        if sign in {"=~", "!~"} and kind != "string":
            raise BadQuery(f"{self.text!r}: {sign} takes a text")
        self.remember(attribute, frozenset({kind}))
        return "bool"

    def operand(self) -> str:
        kind, text = self.peek()
        value = kind.lower() if kind in {"STRING", "DURATION", "FLOAT", "INT"} else ""
        found = {**INTRINSICS, **STATICS}.get(text, value)
        if not found:
            raise BadQuery(f"{self.text!r}: {text or 'the end'} is no value")
        self.at += 1
        return found

    def use(self, types: frozenset[str]) -> None:
        self.remember(self.take("ATTRIBUTE"), types)

    def remember(self, attribute: str, types: frozenset[str]) -> None:
        scope, _, name = attribute.partition(".")
        self.uses.append(Use(scope, name.strip('"'), types))


def uses(query: str) -> list[Use]:
    """Return how a query uses attributes; raise `BadQuery` where it is not what Tempo reads."""
    tokens, at, text = [], 0, query.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise BadQuery(f"{query!r}: not understood at {text[at:]!r}")
        tokens.append((found.lastgroup, found.group(found.lastgroup)))
        at = found.end()
    parser = _Parser(query, tokens)
    parser.query()
    return parser.uses
