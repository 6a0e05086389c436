"""Regular expressions that end in time linear in the text, whatever a stranger wrote in either.

Python's engine tries every way to divide a text between repeats. Here a pattern becomes a position automaton
(Glushkov): a set of positions is one integer, and each character of the text moves the whole set at once. A
move costs at most one table look-up for eight positions and one test for each kind of character, so a search
costs at most `len(text) * MOST_STEPS`; in practice it is one, since moves once made are remembered.

Syntax is Python's, without back-references, look-arounds, and the atomic and possessive forms, which no such
automaton has. Whether a text matches is the same as with `re.search`.
"""

import importlib
import re
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

MAX_LENGTH: Final = 512
MAX_POSITIONS: Final = 256
MAX_KINDS: Final = 32
MOST_STEPS: Final = MAX_POSITIONS // 8 + MAX_KINDS + 1
_MAX_NODES: Final = 4096
_KEPT: Final = 1024
"""How many moves, and how many characters, a pattern remembers before it begins anew."""

_PARSER: Final = importlib.import_module("re._parser")
"""The only reader of Python's own syntax; no type checker has seen it."""

_UNLIMITED: Final = _PARSER.MAXREPEAT
_MATCH: Final = 1 << MAX_POSITIONS

# What stands on either side of a place in the text; assertions ask for nothing else.
_EDGE, _NEWLINE, _LAST_NEWLINE, _WORD, _OTHER = range(5)

Accepts = Callable[[str], bool]
Node = tuple[Any, ...]


class PatternError(ValueError):
    """A pattern that is not used; the text says why."""


def problem_of(pattern: str) -> str | None:
    """Return why a pattern is refused, as a sentence, or None when it may be used."""
    try:
        compiled(pattern)
    except PatternError as error:
        return str(error)
    return None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> "Pattern":
    """Return a pattern ready to search; raise `PatternError` for one that is refused."""
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"Enter a pattern of at most {MAX_LENGTH} characters.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = _PARSER.parse(pattern)
        return Pattern(_Builder(tree.state.flags), tree)
    except (re.error, RecursionError, OverflowError, Warning):
        raise PatternError("This is not a regular expression that can be read.") from None


class _Builder:
    """Makes a graph of nodes from the end to the beginning, so that each node knows what follows it."""

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.nodes: list[Node] = [("match",)]
        self.positions = 0
        self.literals: dict[str, int] = {}
        self.kinds: dict[Any, tuple[Accepts, int]] = {}

    def add(self, *node: Any) -> int:
        if len(self.nodes) >= _MAX_NODES:
            raise PatternError(
                "This pattern is too long when its repeats are written out. Repeat less often."
            )
        self.nodes.append(node)
        return len(self.nodes) - 1

    def char(self, items: list[tuple[str, Any]], after: int, flags: int, *, negated: bool = False) -> int:
        """Add a position; equal kinds of character are judged once for all their positions."""
        if self.positions >= MAX_POSITIONS:
            raise PatternError(
                "This pattern is too long when its repeats are written out. Repeat less often."
            )
        mark = 1 << self.positions
        self.positions += 1
        if not negated and items[0][0] == "LITERAL" and len(items) == 1:
            literal = chr(items[0][1])
            for form in _cases(literal) if flags & re.IGNORECASE else (literal,):
                self.literals[form] = self.literals.get(form, 0) | mark
        else:
            kind = (tuple(items), flags, negated)
            accepts, marks = self.kinds.get(kind) or (_accepts(items, flags, negated=negated), 0)
            self.kinds[kind] = (accepts, marks | mark)
        if len(self.kinds) > MAX_KINDS:
            raise PatternError(f"Use at most {MAX_KINDS} different kinds of character.")
        return self.add("char", self.positions - 1, after)

    def sequence(self, tree: Any, after: int, flags: int) -> int:
        for operator, argument in reversed(list(tree)):
            after = self.one(str(operator), argument, after, flags)
        return after

    def one(self, operator: str, argument: Any, after: int, flags: int) -> int:
        if operator in _CHARACTERS:
            return self.char([(operator, argument)], after, flags)
        if operator == "IN":
            negated = bool(argument) and str(argument[0][0]) == "NEGATE"
            items = [(str(kind), value) for kind, value in argument[negated:]]
            return self.char(items, after, flags, negated=negated)
        if operator == "BRANCH":
            return self.add("split", [self.sequence(item, after, flags) for item in argument[1]])
        if operator == "SUBPATTERN":
            _, added, removed, body = argument
            return self.sequence(body, after, (flags | added) & ~removed)
        if operator in {"MAX_REPEAT", "MIN_REPEAT"}:
            return self.repeat(argument, after, flags)
        if operator == "AT":
            return self.add("at", _assertion(str(argument), flags), after)
        if operator in {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}:
            raise PatternError("Leave out possessive repeats and atomic groups.")
        raise PatternError("Leave out back-references and look-arounds.")

    def repeat(self, argument: Any, after: int, flags: int) -> int:
        least, most, body = int(argument[0]), argument[1], argument[2]
        entry = after
        if most == _UNLIMITED:
            targets: list[int] = [after]
            entry = self.add("split", targets)
            targets.append(self.sequence(body, entry, flags))
        else:
            for _ in range(int(most) - least):
                entry = self.add("split", [after, self.sequence(body, entry, flags)])
        for _ in range(least):
            # A node of its own for each, so that what is empty counts against the limit too.
            entry = self.add("split", [self.sequence(body, entry, flags)])
        return entry


class Pattern:
    """A pattern as an automaton; `steps` counts look-ups and tests of every search so far."""

    def __init__(self, builder: _Builder, tree: Any) -> None:
        self._first = builder.sequence(tree, 0, builder.flags)
        self._nodes = builder.nodes
        self._literals = builder.literals
        self._kinds = tuple(builder.kinds.values())
        self._follow: dict[tuple[int, int, int], int] = {}
        self._eight: dict[tuple[int, int, int, int], int] = {}
        self._allowed: dict[str, int] = {}
        self._moves: dict[tuple[int, int, str, int], int] = {}
        self._steps: dict[tuple[int, int, str, int], int] = {}
        self._leads: dict[tuple[int, int, int, int], int] = {}
        self._entries = {node[1]: node[2] for node in self._nodes if node[0] == "char"}
        self._blocks = (builder.positions + 7) // 8
        self.steps = 0

    def search(self, text: str) -> bool:
        """Return whether the pattern matches anywhere in the text."""
        places, before, last = 0, _EDGE, len(text) - 1
        for at, char in enumerate(text):
            after = _kind(char, last=at == last)
            key = (places, before, char, after)
            moved = self._moves.get(key)
            if moved is None:
                moved = self._move(places, before, char, after)
                _keep(self._moves, key, moved)
            if moved & _MATCH:
                return True
            places, before = moved, after
            self.steps += 1
        return bool(self._reach(places, before, _EDGE) & _MATCH)

    def _move(self, places: int, before: int, char: str, after: int) -> int:
        """Return the positions after one more character, or the mark of a match before it."""
        reached = self._reach(places, before, after)
        return _MATCH if reached & _MATCH else reached & self._allowed_at(char)

    def covered(self, text: str) -> list[tuple[int, int]]:
        """Return the stretches of the text that any match has a part in, in order and apart.

        One walk forward says where a match may have come, one backward which of that leads to its end: the
        time is linear in the text, whatever matches overlap.
        """
        if not self.search(text):
            return []
        kinds = [_kind(char, last=False) for char in text]
        if kinds[-1:] == [_NEWLINE]:
            kinds[-1] = _LAST_NEWLINE
        kinds.append(_EDGE)
        reached = self._walk(text, kinds)
        found: list[tuple[int, int]] = []
        leading = 0
        for at in range(len(text) - 1, -1, -1):
            leading = self._lead(reached[at], leading | _MATCH, kinds[at], kinds[at + 1])
            if leading and found and found[-1][0] == at + 1:
                found[-1] = (at, found[-1][1])
            elif leading:
                found.append((at, at + 1))
        return found[::-1]

    def _walk(self, text: str, kinds: list[int]) -> list[int]:
        """Return for each character the positions that may have taken it, wherever a match began."""
        places, before = 0, _EDGE
        found = []
        for char, after in zip(text, kinds, strict=False):
            key = (places, before, char, after)
            moved = self._steps.get(key)
            if moved is None:
                moved = self._reach(places, before, after) & self._allowed_at(char)
                _keep(self._steps, key, moved)
            places, before = moved, after
            found.append(places)
            self.steps += 1
        return found

    def _lead(self, places: int, targets: int, before: int, after: int) -> int:
        """Return those of some positions that one of the targets may follow."""
        key = (places, targets, before, after)
        found = self._leads.get(key)
        if found is None:
            found, left = 0, places
            while left:
                lowest = left & -left
                left ^= lowest
                self.steps += 1
                if self._after(lowest.bit_length() - 1, before, after) & targets:
                    found |= lowest
            _keep(self._leads, key, found)
        return found

    def _allowed_at(self, char: str) -> int:
        """Return the positions that take a character."""
        allowed = self._allowed.get(char)
        if allowed is None:
            allowed = self._literals.get(char, 0)
            for accepts, marks in self._kinds:
                allowed |= marks if accepts(char) else 0
            _keep(self._allowed, char, allowed)
            self.steps += len(self._kinds)
        return allowed

    def _reach(self, places: int, before: int, after: int) -> int:
        """Return what may come next after any of these positions, or where a match may begin."""
        reached = self._after(-1, before, after)
        for block in range(self._blocks):
            eight = (places >> (8 * block)) & 255
            if eight:
                self.steps += 1
                key = (block, eight, before, after)
                found = self._eight.get(key)
                if found is None:
                    found = 0
                    for bit in range(8):
                        if eight >> bit & 1:
                            found |= self._after(8 * block + bit, before, after)
                    if len(self._eight) >= 8 * _KEPT:
                        self._eight.clear()
                    self._eight[key] = found
                reached |= found
        return reached

    def _after(self, place: int, before: int, after: int) -> int:
        """Return the positions that may follow one, given what stands on both sides of the gap."""
        key = (place, before, after)
        found = self._follow.get(key)
        if found is None:
            found = self._follow[key] = self._closure(
                self._first if place < 0 else self._entries[place], before, after
            )
        return found

    def _closure(self, start: int, before: int, after: int) -> int:
        found, seen, waiting = 0, {start}, [start]
        while waiting:
            node = self._nodes[waiting.pop()]
            following: Iterable[int] = ()
            if node[0] == "char":
                found |= 1 << node[1]
            elif node[0] == "match":
                found |= _MATCH
            elif node[0] == "split":
                following = node[1]
            elif node[1](before, after):
                following = (node[2],)
            for target in following:
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return found


def _keep(known: dict[Any, int], key: Any, value: int) -> None:
    """Remember what was made, and forget all of it once it is too much."""
    if len(known) >= _KEPT:
        known.clear()
    known[key] = value


def _kind(char: str, *, last: bool) -> int:
    if char == "\n":
        return _LAST_NEWLINE if last else _NEWLINE
    return _WORD if char.isalnum() or char == "_" else _OTHER


# -- what one position accepts ------------------------------------------------------------------------

_CHARACTERS: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY"})
_CATEGORIES: Final[dict[str, Accepts]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda char: char.isalnum() or char == "_",
}


def _accepts(items: list[tuple[str, Any]], flags: int, *, negated: bool) -> Accepts:
    """Return what judges one character; without regard to case it is judged in each of its cases."""
    tests = [_item(kind, value, flags) for kind, value in items]
    if not flags & re.IGNORECASE:
        return lambda char: any(test(char) for test in tests) is not negated

    def folded(char: str) -> bool:
        return any(test(form) for form in _cases(char) for test in tests) is not negated

    return folded


def _cases(char: str) -> set[str]:
    forms = {char, char.lower(), char.upper()}
    forms |= {form.lower() for form in forms} | {form.upper() for form in forms}
    return {form for form in forms if len(form) == 1}


def _item(kind: str, value: Any, flags: int) -> Accepts:
    if kind == "LITERAL":
        literal = chr(value)
        return lambda char: char == literal
    if kind == "NOT_LITERAL":
        refused = _cases(chr(value)) if flags & re.IGNORECASE else {chr(value)}
        return lambda char: char not in refused
    if kind == "RANGE":
        least, most = chr(value[0]), chr(value[1])
        return lambda char: least <= char <= most
    if kind == "CATEGORY":
        return _category(str(value), flags)
    return (lambda _: True) if flags & re.DOTALL else (lambda char: char != "\n")


def _category(name: str, flags: int) -> Accepts:
    inverse = "_NOT_" in name
    judge = _CATEGORIES[name.rsplit("_", 1)[1]]
    only_ascii = bool(flags & re.ASCII)
    return lambda char: (judge(char) and (char.isascii() or not only_ascii)) is not inverse


# -- assertions ---------------------------------------------------------------------------------------


def _assertion(name: str, flags: int) -> Callable[[int, int], bool]:
    """Return what judges a gap by the kinds on both of its sides."""
    newlines = {_NEWLINE, _LAST_NEWLINE} if flags & re.MULTILINE else set()
    judges: dict[str, Callable[[int, int], bool]] = {
        "AT_BEGINNING": lambda before, _: before == _EDGE or before in newlines,
        "AT_BEGINNING_STRING": lambda before, _: before == _EDGE,
        "AT_END": lambda _, after: after in {_EDGE, _LAST_NEWLINE} or after in newlines,
        "AT_END_STRING": lambda _, after: after == _EDGE,
        "AT_BOUNDARY": lambda before, after: (before == _WORD) != (after == _WORD),
        "AT_NON_BOUNDARY": lambda before, after: (before == _WORD) == (after == _WORD),
    }
    if name.endswith("BOUNDARY") and flags & re.ASCII:
        raise PatternError("Leave out (?a) beside word boundaries.")
    return judges[name]
