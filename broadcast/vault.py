"""Seal and open secrets and content.

AES-256-GCM throughout. Each destination has a random data key, wrapped by the first key of the key ring. The
associated data of both layers names workspace, destination and address, that of a field its name too,
so a sealed value opens only where, and for what address, it was sealed.

    sealed secrets:  version | key id | binding | wrap nonce, wrapped data key | (field | nonce, ciphertext)*
    sealed key:      version | key id | binding | wrap nonce, wrapped key

The binding is a hash of the place, kept beside the wrapped key so that a key can be wrapped again without
knowing the place; it proves nothing by itself. Parts after the version carry their length in front.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets as random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broadcast.errors import ConfigError, VaultError

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_WRAPPED_BYTES: Final = _KEY_BYTES + 16
_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_RULE: Final = "BROADCAST_ENCRYPTION_KEYS must be id:base64 of exactly 32 random bytes, comma separated."


@dataclass(frozen=True, kw_only=True)
class KeyRing:
    """The key-encryption keys: the first seals, all open."""

    keys: Mapping[str, AESGCM]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the ring of `id:base64,id2:base64`; raise `ConfigError` for a weak, doubled or no key."""
        keys: dict[str, AESGCM] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            key_id, _, encoded = item.partition(":")
            if not _KEY_ID.fullmatch(key_id) or key_id in keys:
                raise ConfigError(_RULE)
            keys[key_id] = AESGCM(_strong_key(encoded))
        if not keys:
            raise ConfigError(_RULE)
        return cls(keys=keys)

    @property
    def sealing_id(self) -> str:
        """Return the id of the key that seals."""
        return next(iter(self.keys))


def _strong_key(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, altchars=b"-_" if re.search("[-_]", encoded) else None, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(_RULE) from None
    if len(key) != _KEY_BYTES or len(set(key)) < 8:
        raise ConfigError(_RULE)
    return key


def sign_rs256(private_key_pem: str, message: bytes) -> bytes:
    """Return a JWT's RS256 signature, the same for the same message; `ValueError` for what is no RSA key."""
    try:
        key = load_pem_private_key(private_key_pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("The private key cannot be read.") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("The private key is no RSA key.")  # noqa: TRY004 - the value is wrong, not its type
    return key.sign(message, PKCS1v15(), SHA256())


def new_key(key_id: str = "k1") -> str:
    """Return a fresh key as `id:base64`."""
    return f"{key_id}:{base64.b64encode(random.token_bytes(_KEY_BYTES)).decode()}"


@dataclass(frozen=True, kw_only=True)
class _Sealed:
    """The parts of a sealed value; `fields` is empty for a sealed key."""

    key_id: str
    binding: bytes
    wrap_nonce: bytes
    wrapped: bytes
    fields: tuple[tuple[str, bytes, bytes], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.fields)

    def pack(self) -> bytes:
        parts = [self.key_id.encode(), self.binding, self.wrap_nonce + self.wrapped]
        for name, nonce, ciphertext in self.fields:
            parts += [name.encode(), nonce + ciphertext]
        return _VERSION + _prefixed(*parts)

    @classmethod
    def unpack(cls, sealed: bytes) -> Self:
        try:
            parts = list(_split(sealed))
            key_id, binding, wrap = parts[0].decode("ascii"), parts[1], parts[2]
            names = [part.decode() for part in parts[3::2]]
        except (ValueError, IndexError):
            raise VaultError("The sealed value is damaged.") from None
        values = parts[4::2]
        if len(wrap) != _NONCE_BYTES + _WRAPPED_BYTES or len(values) != len(names):
            raise VaultError("The sealed value is damaged.")
        return cls(
            key_id=key_id,
            binding=binding,
            wrap_nonce=wrap[:_NONCE_BYTES],
            wrapped=wrap[_NONCE_BYTES:],
            fields=tuple(
                (name, value[:_NONCE_BYTES], value[_NONCE_BYTES:])
                for name, value in zip(names, values, strict=True)
            ),
        )


def _prefixed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _split(sealed: bytes) -> Iterator[bytes]:
    if sealed[:1] != _VERSION:
        raise ValueError("another version")
    at = 1
    while at < len(sealed):
        length = int.from_bytes(sealed[at : at + 4], "big")
        part = sealed[at + 4 : at + 4 + length]
        if len(part) != length or len(sealed) < at + 4:
            raise ValueError("cut off")
        yield part
        at += 4 + length


def _open(cipher: AESGCM, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, ciphertext, aad)
    except (InvalidTag, ValueError):
        raise VaultError("The sealed value does not open: wrong key, wrong place or changed bytes.") from None


_CONTENT_KEY: Final = b"content key"


def _binding(workspace: str, destination: str, address: tuple[str, ...]) -> bytes:
    identity = hashlib.sha256(_prefixed(*(item.encode() for item in sorted(address)))).digest()
    return hashlib.sha256(_prefixed(workspace.encode(), destination.encode(), identity)).digest()


def _key_aad(binding: bytes, names: tuple[str, ...]) -> bytes:
    """The names of all fields are bound too, so that none can be taken out unseen."""
    return _prefixed(b"v1", b"key", binding, *(name.encode() for name in names))


def _field_aad(binding: bytes, name: str) -> bytes:
    return _prefixed(b"v1", b"field", binding, name.encode())


class Vault:
    """Seals and opens with one key ring."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    @property
    def sealing_id(self) -> str:
        """Return the id of the key that seals."""
        return self._keyring.sealing_id

    def seal_secrets(
        self, secrets: Mapping[str, str], *, workspace: str, destination: str, address: tuple[str, ...]
    ) -> bytes:
        """Return the secrets sealed under a new data key, bound to where and what they are for."""
        binding = _binding(workspace, destination, address)
        data_key = random.token_bytes(_KEY_BYTES)
        cipher = AESGCM(data_key)
        fields = []
        for name, value in sorted(secrets.items()):
            nonce = random.token_bytes(_NONCE_BYTES)
            fields.append((name, nonce, cipher.encrypt(nonce, value.encode(), _field_aad(binding, name))))
        return self._wrap(data_key, binding, tuple(fields))

    def open_secrets(
        self, sealed: bytes, *, workspace: str, destination: str, address: tuple[str, ...]
    ) -> dict[str, str]:
        """Return the secrets; raise `VaultError` unless everything is as it was when they were sealed."""
        binding = _binding(workspace, destination, address)
        parts = _Sealed.unpack(sealed)
        cipher = AESGCM(self._unwrap(parts, binding))
        return {
            name: _open(cipher, nonce, ciphertext, _field_aad(binding, name)).decode()
            for name, nonce, ciphertext in parts.fields
        }

    def rewrap(self, sealed: bytes) -> bytes:
        """Return sealed secrets or a sealed key with the key inside wrapped by today's sealing key."""
        parts = _Sealed.unpack(sealed)
        return self._wrap(self._unwrap(parts, parts.binding), parts.binding, parts.fields)

    def key_id(self, sealed: bytes) -> str:
        """Return the id of the key that wrapped a sealed value of either kind."""
        return _Sealed.unpack(sealed).key_id

    def new_content_key(self) -> bytes:
        """Return a new workspace key for content, sealed."""
        return self._wrap(random.token_bytes(_KEY_BYTES), _CONTENT_KEY, ())

    def content_cipher(self, sealed_key: bytes) -> "ContentCipher":
        """Return the cipher of a workspace's content; raise `VaultError` when its key does not open."""
        return ContentCipher(self._unwrap(_Sealed.unpack(sealed_key), _CONTENT_KEY))

    def _wrap(self, key: bytes, binding: bytes, fields: tuple[tuple[str, bytes, bytes], ...]) -> bytes:
        nonce = random.token_bytes(_NONCE_BYTES)
        aad = _key_aad(binding, tuple(name for name, _, _ in fields))
        return _Sealed(
            key_id=self.sealing_id,
            binding=binding,
            wrap_nonce=nonce,
            wrapped=self._keyring.keys[self.sealing_id].encrypt(nonce, key, aad),
            fields=fields,
        ).pack()

    def _unwrap(self, parts: _Sealed, binding: bytes) -> bytes:
        cipher = self._keyring.keys.get(parts.key_id)
        if cipher is None:
            raise VaultError("The sealed value needs a key that is not in BROADCAST_ENCRYPTION_KEYS.")
        if parts.binding != binding:
            raise VaultError("The sealed value belongs to another place or address.")
        return _open(cipher, parts.wrap_nonce, parts.wrapped, _key_aad(binding, parts.names))


class ContentCipher:
    """Seals one workspace's prompts and completions; random nonces are safe up to four billion of them."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(derive(key, "content"))
        self._fingerprint = HMAC(derive(key, "fingerprint"), SHA256())
        self._pseudonym_key = derive(key, "pseudonyms")

    def seal(self, plain: bytes, *, aad: bytes) -> bytes:
        """Return content sealed for the place that `aad` names."""
        nonce = random.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, aad)

    def open(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Return the content; raise `VaultError` for another place or changed bytes."""
        if sealed[:1] != _VERSION:
            raise VaultError("The sealed value is damaged.")
        return _open(self._cipher, sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], aad)

    def fingerprint(self, document: bytes) -> bytes:
        """Return 16 bytes that only this workspace's key could have made of this document."""
        # A key that was taken in already: with a short document that is a third of the cost.
        made = self._fingerprint.copy()
        made.update(document)
        return made.finalize()[:16]

    def pseudonym(self, value: bytes) -> bytes:
        """Return 32 bytes that stand for a value: the same for equal ones, and of no use without this key."""
        return hmac.digest(self._pseudonym_key, value, "sha256")


def derive(secret_key: bytes, purpose: str) -> bytes:
    """Return a key for one purpose, so that no two uses of a secret share one."""
    return HKDF(
        algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"broadcast v1 " + purpose.encode()
    ).derive(secret_key)


def verifier(pepper: bytes, key: str) -> bytes:
    """Return what is stored of an API key: worthless without the pepper."""
    return hmac.digest(pepper, key.encode(), "sha256")
