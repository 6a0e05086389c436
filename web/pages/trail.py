"""The way through a log's pages, kept in the address: where this page begins, and the newer ones did."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from flask import request

from broadcast.errors import SettingsError

Page = TypeVar("Page")
_LONGEST: Final = 40


@dataclass(frozen=True, kw_only=True)
class Trail:
    """A place in a log: `mark` begins the page, None the newest; `back` begins the newer ones, nearest last.

    `names` are the address's parameters for the two.
    """

    names: tuple[str, str] = ("before", "back")
    mark: str | None = None
    back: tuple[str, ...] = ()

    def read(self, read: Callable[[str | None], Page]) -> tuple[Page, "Trail"]:
        """Return the page at the mark, and its place; a mark that is not ours means the newest."""
        try:
            return read(self.mark), self
        except SettingsError:
            return read(None), Trail(names=self.names)

    def here(self) -> dict[str, str]:
        """Return the parameters of this place."""
        values = zip(self.names, (self.mark, ".".join(self.back)), strict=True)
        return {name: value for name, value in values if value}

    def newer(self) -> dict[str, str] | None:
        """Return the parameters of the page that led here, None on the newest."""
        if self.mark is None:
            return None
        mark = self.back[-1] if self.back else None
        return replace(self, mark=mark, back=self.back[:-1]).here()

    def older(self, mark: str | None) -> dict[str, str] | None:
        """Return the parameters of the page that begins at a mark, None at the end."""
        if mark is None:
            return None
        back = (*self.back, self.mark) if self.mark else ()
        return replace(self, mark=mark, back=back[-_LONGEST:]).here()


def trail(mark: str = "before", back: str = "back") -> Trail:
    """Return the place that this request's address asks for, under the names that the page gives the two."""
    marks = request.args.get(back, "").split(".")
    return Trail(
        names=(mark, back),
        mark=request.args.get(mark) or None,
        back=tuple(item for item in marks if item)[-_LONGEST:],
    )
