"""The C library's memory, kept for the next batch instead of given back and asked for page by page again."""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 64 * 2**20
_OWN_PAGES_FROM_BYTES: Final = 32 * 2**20
"""The most that glibc takes; by its own default it is 128 KiB, far less than one batch."""


def keep_memory() -> None:
    """Let this process keep up to 64 MiB that is free; do nothing where the C library is not glibc.

    A batch is a few megabytes that come and go many times a second. A page that the system hands out anew
    costs more than filling it: a third of the cost of a batch with content.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_MMAP_THRESHOLD, _OWN_PAGES_FROM_BYTES)
