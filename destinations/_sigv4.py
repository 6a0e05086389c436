"""AWS Signature Version 4 for one request, from hashlib and hmac alone.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, read 2026-11-21.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from broadcast.fields import Secret

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SAFE: Final = "-_.~"


def signed(
    method: str,
    url: str,
    body: bytes,
    *,
    key_id: str,
    secret: Secret,
    session_token: Secret | None,
    region: str,
    service: str,
    at_us: int,
) -> dict[str, str]:
    """Return the headers that sign a request: its time, the hash of its body, and the signature."""
    stamp = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    added = {"x-amz-content-sha256": digest, "x-amz-date": stamp}
    if session_token:
        added["x-amz-security-token"] = session_token.reveal()
    canonical, names = _canonical(method, url, added, digest)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret.reveal()}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**added, "authorization": f"{_ALGORITHM} {credential}"}


def escaped(path: str) -> str:
    """Return a path as it must stand in the address, so that it is signed as it is sent."""
    return quote(path, safe=f"/{_SAFE}")


def _host(parts: SplitResult) -> str:
    """Return the host as it is sent: in lower case, without the port that goes without saying."""
    return parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")


def _canonical(method: str, url: str, headers: Mapping[str, str], digest: str) -> tuple[str, str]:
    parts = urlsplit(url)
    every = {"host": _host(parts), **headers}
    pairs = sorted((quote(name, safe=_SAFE), quote(value, safe=_SAFE)) for name, value in parse_qsl(
        parts.query, keep_blank_values=True
    ))  # fmt: skip
    names = ";".join(sorted(every))
    lines = "".join(f"{name}:{every[name].strip()}\n" for name in sorted(every))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return "\n".join((method, parts.path or "/", query, lines, names, digest)), names
