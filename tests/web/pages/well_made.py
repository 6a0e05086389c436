"""What no page may get wrong, found by reading its markup."""

from html.parser import HTMLParser

Attributes = dict[str, str | None]


class Reader(HTMLParser):
    """Gathers of a page what is judged: headings, ids, labels, fields, forms, and what the policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.language: str | None = None
        self.title = ""
        self.headings: list[str] = []
        self.first_link: Attributes = {}
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.fields: list[Attributes] = []
        self.described: set[str] = set()
        self.posts = 0
        self.tokens = 0
        self.actionless = 0
        self.nameless: list[Attributes] = []
        self.forbidden: list[str] = []
        self._open: list[str] = []
        self._button: tuple[Attributes, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._open.append(tag)
        if tag == "html":
            self.language = found.get("lang")
        if tag == "h1":
            self.headings.append("")
        if tag == "a" and not self.first_link:
            self.first_link = found
        if tag in {"button", "summary"}:
            self._button = (found, [])
        self._gather(tag, found)
        self._judge(tag, found)

    def _gather(self, tag: str, found: Attributes) -> None:
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self.described |= set(str(found.get("aria-describedby") or "").split())
        self.described |= set(str(found.get("aria-labelledby") or "").split())
        if tag == "label" and found.get("for"):
            self.labelled.add(str(found["for"]))
        if tag in {"input", "select", "textarea"} and found.get("type") != "hidden":
            self.fields.append(found)
        if tag == "form" and found.get("method") != "dialog":
            self.posts += found.get("method") == "post"
            self.actionless += not found.get("action")
        self.tokens += tag == "input" and found.get("name") == "csrf_token"

    def _judge(self, tag: str, found: Attributes) -> None:
        """Note what the policy forbids: inline style, handlers, code or frames from anywhere but here."""
        elsewhere = str(found.get("src") or "").startswith(("http:", "https:", "//"))
        sheet = tag == "link" and str(found.get("href") or "").startswith(("http:", "https:", "//"))
        bare = tag == "script" and ("src" not in found or not found.get("nonce"))
        handlers = [name for name in found if name == "style" or name.startswith("on")]
        if elsewhere or sheet or bare or handlers or tag in {"style", "iframe", "object", "embed", "base"}:
            self.forbidden.append(f"{tag} {found}")

    def handle_data(self, data: str) -> None:
        if "title" in self._open and "svg" not in self._open:
            self.title += data
        if "h1" in self._open and self.headings:
            self.headings[-1] += data
        if self._button is not None:
            self._button[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"button", "summary"} and self._button is not None:
            found, words = self._button
            if not "".join(words).strip() and not found.get("aria-label"):
                self.nameless.append(found)
            self._button = None
        while self._open and self._open.pop() != tag:
            pass


def faults(page: str) -> list[str]:
    """Return what is wrong with a page, in words."""
    reader = Reader()
    reader.feed(page)
    twice = sorted({name for name in reader.ids if reader.ids.count(name) > 1})
    unnamed = [
        found
        for found in reader.fields
        if not found.get("aria-label") and found.get("id") not in reader.labelled
    ]
    nowhere = reader.described - set(reader.ids)
    heading = reader.headings[0].strip() if reader.headings else ""
    wrong = {
        "not in English": reader.language != "en",
        f"{len(reader.headings)} h1": len(reader.headings) != 1,
        f"title {reader.title!r} for {heading!r}": reader.title.strip() != f"{heading} · Broadcast",
        f"ids twice: {twice}": bool(twice),
        f"described by nothing: {sorted(nowhere)}": bool(nowhere),
        f"fields without a label: {unnamed}": bool(unnamed),
        f"buttons without a name: {reader.nameless}": bool(reader.nameless),
        "a form without an action": reader.actionless > 0,
        "a form without its token": reader.tokens < reader.posts,
        f"forbidden: {reader.forbidden}": bool(reader.forbidden),
    }
    return [words for words, is_so in wrong.items() if is_so]


def skips_to_the_page(page: str) -> bool:
    """Tell whether the first link of a page leads past its frame."""
    reader = Reader()
    reader.feed(page)
    return reader.first_link.get("href") == "#main" and "main" in reader.ids
