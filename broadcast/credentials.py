"""Passwords, keys and tokens, made and recognised without database or clock; the door of argon2."""

import hashlib
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

API_PREFIX: Final = "sk-"
MANAGEMENT_PREFIX: Final = "sk-mgmt-"
API_SCOPES: Final = ("chat", "receipts:write")
ALL_SCOPES: Final = ("chat", "receipts:write", "usage:read")
_SHORTEST_PASSWORD: Final = 8
_LONGEST_PASSWORD: Final = 1000
_PLAIN_LENGTHS: Final = (len(API_PREFIX) + 43, len(MANAGEMENT_PREFIX) + 43)

# RFC 9106's second recommendation is 64 MiB and 3 passes: about 50 ms here, which a log-in may cost.
_hasher: Final = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
_HASHED: Final = "$argon2id$"
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def hash_password(password: str) -> str:
    """Return an argon2id hash with a random salt."""
    return _hasher.hash(password)


def password_matches(password_hash: str | None, password: str) -> bool:
    """Return whether the password is right; an unknown user, or one without a password, takes as long."""
    known = password_hash if password_hash and password_hash.startswith(_HASHED) else None
    try:
        return _hasher.verify(known or _NOBODY, password) and known is not None
    except (VerificationError, InvalidHashError):
        return False


def password_fault(password: str) -> str:
    """Return what is wrong with a password that somebody chose, empty when nothing is."""
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        return f"A password has {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD:,} characters."
    return ""


def new_password() -> str:
    """Return a random password that a person can type."""
    return secrets.token_urlsafe(12)


def new_token() -> str:
    """Return 256 random bits as 43 base64url characters."""
    return secrets.token_urlsafe(32)


def new_key(kind: str) -> str:
    """Return a new key of the kind, `api` or `management`; it is shown once and never stored."""
    return (MANAGEMENT_PREFIX if kind == "management" else API_PREFIX) + new_token()


def looks_like_key(text: str) -> bool:
    """Return whether the text has the shape of one of our keys, so that anything else costs no look-up."""
    return len(text) in _PLAIN_LENGTHS and text.startswith(API_PREFIX) and text.isascii()


def public_hash(plain: str) -> str:
    """Return the lower-case hexadecimal SHA-256 by which a key or token is named."""
    return hashlib.sha256(plain.encode()).hexdigest()


def label_of(plain: str) -> str:
    """Return what a person may recognise a key by: its first and last characters."""
    prefix = MANAGEMENT_PREFIX if plain.startswith(MANAGEMENT_PREFIX) else API_PREFIX
    return f"{plain[: len(prefix) + 3]}...{plain[-3:]}"
