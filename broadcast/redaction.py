"""Personal data and credentials in text, known by their form, and replaced by what they are: `[email]`.

Every form is found in time linear in the text: a repeat without a bound is possessive, and begins only where
a run of its characters begins. A workspace's own patterns go through `patterns`, which cannot hang either.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from broadcast.multimodal import get_text
from broadcast.patterns import compiled

MAX_PATTERNS: Final = 10
OWN: Final = "redacted"
Span = tuple[int, int]
Finder = Callable[[str], Iterable[Span]]

# In JSON text that cannot be read, whatever begins where a word does begins after an escaped line break, too.
_ESCAPED: Final = r"(?<=\\[nrt])"
_BEGIN: Final = rf"(?:(?<![\w-])|{_ESCAPED})"
_KEY_FORMS: Final = (
    r"(?:sk|pk)-[\w-]{16,}+",
    r"(?:sk|pk|rk)_(?:live|test)_\w{10,}+",
    r"gh[opsur]_\w{20,}+",
    r"github_pat_\w{20,}+",
    r"glpat-[\w-]{16,}+",
    r"gl(?:c|sa)_[\w+/=-]{16,}+",
    r"xox[abeoprs]-[\w-]{10,}+",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    r"AIza[\w-]{30,}+",
    r"ya29\.[\w-]{20,}+",
    r"(?:hf|npm|gsk|xai|dop_v1|pypi|whsec)[_-][\w+/=-]{16,}+",
    r"lsv2_[a-z]{2}_\w{16,}+",
    r"ph[cx]_\w{20,}+",
    r"eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)*+",
    r"(?i:bearer)[ \t]{1,4}[\w.~+/=-]{16,}+",
    (
        r"""(?i:authorization|(?:x-)?api[_-]?key)\\?["']?[ \t]{0,3}[:=][ \t]{0,3}\\?["']?"""
        r"(?:(?i:bearer|basic|token)[ \t]{1,4})?[\w.~+/=:-]{8,}+"
    ),
)
_KEYS: Final = re.compile(
    rf"{_BEGIN}(?:{'|'.join(_KEY_FORMS)})"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\w+/=\s\\]*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
    # A user and a password within an address.
    r"""|(?<=://)[^\s/@:"'<>\\]{0,256}:[^\s/@"'<>\\]{1,256}(?=@)"""
)
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]++(?:@|%40)[\w-]++(?:\.[\w-]++)++")
_TLD: Final = re.compile(r"\.[^\W\d_]{2}")
_IBAN: Final = re.compile(rf"(?:(?<![^\W_])|{_ESCAPED})[A-Za-z]{{2}}[0-9]{{2}}(?: ?[A-Za-z0-9]){{11,30}}")
_DIGITS: Final = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,}+")
_PHONES: Final = re.compile(
    rf"(?:(?<![\w+])|{_ESCAPED})\+\d(?:[ ()./-]{{0,2}}\d){{6,14}}(?!\d)"
    rf"|(?:(?<![\w.,:/-])|{_ESCAPED})"
    r"(?:00[1-9](?:[ ()./-]{0,2}\d){7,13}(?!\d)"
    r"|(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"
    r"|\(?0\d{1,4}\)?[ /-]\d{3,8}(?:[ -]\d{2,5}){0,3}(?![\w-]))"
)
_CARD_LENGTHS: Final = range(19, 12, -1)
_IBAN_LENGTHS: Final = range(15, 35)
_LONG_NUMBER: Final = 10**12


# -- what is found -----------------------------------------------------------------------------------


def _matches(pattern: re.Pattern[str]) -> Finder:
    return lambda text: (match.span() for match in pattern.finditer(text))


def _emails(text: str) -> Iterator[Span]:
    """A version behind a package's name (`left-pad@1.3.0`) has no top-level domain."""
    return (match.span() for match in _EMAIL.finditer(text) if _TLD.search(match[0]))


def _cards(text: str) -> Iterator[Span]:
    """A card may stand among other groups of digits: each run of whole groups is judged."""
    for match in _DIGITS.finditer(text):
        written, base = match[0], match.start()
        places = [at for at, char in enumerate(written) if char.isdecimal()]
        digits = [int(written[at]) for at in places]
        # Luhn's sum of any run of digits is the difference of two of these.
        even, odd = _sums(digits, 0), _sums(digits, 1)
        first = 0
        while first < len(places):
            size = 0
            if _begins_card(digits, first) and (first == 0 or places[first - 1] < places[first] - 1):
                size = next(
                    (size for size in _CARD_LENGTHS if _ends_card(places, first + size, even, odd, size)), 0
                )
            if size:
                yield base + places[first], base + places[first + size - 1] + 1
            first += size or 1


def _sums(digits: Sequence[int], parity: int) -> list[int]:
    """Return the running sums of digits, doubled as Luhn does where the place has not this parity."""
    kept = (
        digit if place % 2 == parity else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits)
    )
    return list(accumulate(kept, initial=0))


def _begins_card(digits: Sequence[int], first: int) -> bool:
    two = digits[first] * 10 + (digits[first + 1] if first + 1 < len(digits) else 0)
    return 30 <= two <= 69 or 22 <= two <= 27


def _ends_card(
    places: Sequence[int], behind: int, even: Sequence[int], odd: Sequence[int], size: int
) -> bool:
    """Return whether the digits before `behind` are whole groups and add up."""
    if behind > len(places) or (behind < len(places) and places[behind] == places[behind - 1] + 1):
        return False
    sums = even if (behind - 1) % 2 == 0 else odd
    return (sums[behind] - sums[behind - size]) % 10 == 0


def _ibans(text: str) -> Iterator[Span]:
    """The words behind an IBAN look like more of its groups: the longest that adds up is taken."""
    at = 0
    while (match := _IBAN.search(text, at)) is not None:
        start = match.start()
        size = _iban_size(match[0] + text[match.end() : match.end() + 1])
        if size:
            yield start, start + size
        at = start + (size or 4)


def _iban_size(text: str) -> int:
    """Return the length of the longest IBAN that a text begins with and that ends where a group does."""
    # Its first four count last: the two letters are four digits, so what is before them moves by six.
    head = int("".join(str(int(char, 36)) for char in text[:4]))
    found, rest, length = 0, 0, 4
    for at, char in enumerate(text[4:], start=4):
        if not char.isalnum():
            continue
        value = int(char, 36) if char.isascii() else 0
        rest = (rest * (100 if value > 9 else 10) + value) % 97
        length += 1
        if (
            length in _IBAN_LENGTHS
            and not text[at + 1 : at + 2].isalnum()
            and (rest * 10**6 + head) % 97 == 1
        ):
            found = at + 1
    return found


_FORMS: Final[tuple[tuple[str, Finder], ...]] = (
    ("key", _matches(_KEYS)),
    ("email", _emails),
    ("iban", _ibans),
    ("card", _cards),
    ("phone", _matches(_PHONES)),
)


# -- what becomes of it ------------------------------------------------------------------------------


class Redactor:
    """Replaces what is known by its form, and what a workspace's own patterns match; counts both."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        own = tuple((OWN, compiled(pattern).covered) for pattern in patterns)
        self._forms: tuple[tuple[str, Finder], ...] = (*_FORMS, *own)
        self.counts: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """Return a text without what was found; JSON text is read first, since escapes may hide anything."""
        if text.lstrip()[:1] in {"{", "["}:
            text = self._json_text(text)
        return self._joined((text,))[0]

    def value(self, value: Any) -> Any:
        """Return a JSON value with every text, key and long number in it redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in self._items(list(value))]
        if isinstance(value, int) and abs(value) >= _LONG_NUMBER:
            written = self.text(str(value))
            return value if written == str(value) else written
        return value

    def _json_text(self, text: str) -> str:
        try:
            value = json.loads(text)
            redacted = self.value(value)
            return text if redacted == value else json.dumps(redacted, ensure_ascii=False)
        except (ValueError, RecursionError):
            return text

    def _items(self, items: list[Any]) -> list[Any]:
        """A stream may have cut a text into parts anywhere: those of one kind are looked at as one, too."""
        runs: dict[str, list[tuple[int, str]]] = {}
        for place, item in enumerate(items):
            if key := _text_key(item):
                kind = get_text(item, "type") or key
                runs.setdefault(kind, []).append((place, key))
        for run in runs.values():
            if len(run) < 2:
                continue
            texts = self._joined([items[place][key] for place, key in run])
            for (place, key), text in zip(run, texts, strict=True):
                items[place] = {**items[place], key: text}
        return items

    def _joined(self, texts: Sequence[str]) -> list[str]:
        """Return texts that follow each other without what was found, also where it spans several."""
        found = self._found("".join(texts))
        if not found:
            return list(texts)
        self.counts.update(label for _, _, label in found)
        made, begin = [], 0
        for text in texts:
            made.append(_replaced(text, begin, found))
            begin += len(text)
        return made

    def _found(self, text: str) -> list[tuple[int, int, str]]:
        """Return what was found, in order and apart; of what overlaps, the first form gives the name."""
        spans = sorted(
            (start, end, rank) for rank, (_, find) in enumerate(self._forms) for start, end in find(text)
        )
        merged: list[tuple[int, int, int]] = []
        for start, end, rank in spans:
            if merged and start < merged[-1][1]:
                first, last, known = merged[-1]
                merged[-1] = (first, max(last, end), min(known, rank))
            else:
                merged.append((start, end, rank))
        return [(start, end, self._forms[rank][0]) for start, end, rank in merged]


def _text_key(item: Any) -> str:
    """Return where a part of a message keeps its text, empty for what is no such part."""
    if not isinstance(item, dict) or "role" in item:
        return ""
    return next((key for key in ("text", "content", "thinking") if isinstance(item.get(key), str)), "")


def _replaced(text: str, begin: int, found: Iterable[tuple[int, int, str]]) -> str:
    """Return the part of a longer text that begins at `begin`, with what was found in it replaced."""
    pieces, at, behind = [], begin, begin + len(text)
    for start, end, label in found:
        if end <= begin or start >= behind:
            continue
        pieces.append(text[at - begin : max(start, begin) - begin])
        if start >= begin:
            pieces.append(f"[{label}]")
        at = min(end, behind)
    return "".join((*pieces, text[at - begin :]))
