"""Gzip both ways: level 1 of ISA-L out, and in only as far as a limit."""

import zlib
from collections.abc import Callable
from hashlib import sha512

_GZIP_ONLY = 31
_MAX_MEMBERS = 64
_BLOCKS = bytes(256)

_compress: Callable[[bytes], bytes]
try:
    from isal import igzip
except ImportError:  # there is no wheel for this machine

    def _compress(data: bytes) -> bytes:
        packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_ONLY)
        return packer.compress(data) + packer.flush()
else:

    def _compress(data: bytes) -> bytes:
        packed = bytes(igzip.compress(data, 1, mtime=0))
        # ISA-L (python-isal 1.9.1, seen on 22 November 2026) leaves the upper halves of the vector registers
        # in use, and then whatever this thread does with the lower ones takes longer: log10 thrice as long.
        # OpenSSL's SHA-512 of several blocks ends by clearing them (VZEROUPPER).
        sha512(_BLOCKS)
        return packed


def gzip_fast(data: bytes) -> bytes:
    """Return gzip at the fastest level; equal input gives equal output."""
    return _compress(data)


def gunzip_bounded(data: bytes, limit: int) -> bytes:
    """Return what was compressed; raise `ValueError` over `limit` bytes or for anything but whole gzip."""
    parts: list[bytes] = []
    left = limit
    rest = data
    for _ in range(_MAX_MEMBERS):
        part, rest = _one_member(rest, left)
        parts.append(part)
        left -= len(part)
        if not rest:
            return b"".join(parts)
    raise ValueError("The gzip body has too many members.")


def _one_member(data: bytes, limit: int) -> tuple[bytes, bytes]:
    unpacker = zlib.decompressobj(_GZIP_ONLY)
    try:
        part = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise ValueError("The body is not gzip.") from None
    if len(part) > limit:
        raise ValueError("The body is too large once decompressed.")
    if not unpacker.eof:
        raise ValueError("The gzip body is cut off.")
    return part, unpacker.unused_data
