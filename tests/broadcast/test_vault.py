import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from broadcast.errors import ConfigError, VaultError
from broadcast.vault import ContentCipher, KeyRing, Vault, derive, new_key, sign_rs256, verifier

OLD, NEW = new_key("old"), new_key("new")
VAULT = Vault(KeyRing.parse(OLD))
ADDRESS = ("https://a.example:443/v1/traces", "https://a.example:443/auth")

secrets_ = st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=200), max_size=4)


def seal(secrets: dict[str, str], vault: Vault = VAULT) -> bytes:
    return vault.seal_secrets(secrets, workspace="w-1", destination="d-1", address=ADDRESS)


def open_(sealed: bytes, vault: Vault = VAULT) -> dict[str, str]:
    return vault.open_secrets(sealed, workspace="w-1", destination="d-1", address=ADDRESS)


@given(secrets_)
def test_secrets_open_where_they_were_sealed(secrets: dict[str, str]) -> None:
    assert open_(seal(secrets)) == secrets


@given(st.text(alphabet="abcdefghij", min_size=8, max_size=60))
def test_sealed_bytes_never_hold_the_plain_text(value: str) -> None:
    sealed = seal({"apiKey": value})
    assert value.encode() not in sealed
    assert base64.b64encode(value.encode()) not in sealed


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    assert seal({"apiKey": "x"}) != seal({"apiKey": "x"})


def test_the_order_of_addresses_does_not_matter() -> None:
    sealed = seal({"apiKey": "x"})
    opened = VAULT.open_secrets(sealed, workspace="w-1", destination="d-1", address=ADDRESS[::-1])
    assert opened == {"apiKey": "x"}


@pytest.mark.parametrize(
    ("workspace", "destination", "address"),
    [
        ("w-2", "d-1", ADDRESS),
        ("w-1", "d-2", ADDRESS),
        ("w-1d", "-1", ADDRESS),
        ("w-1", "d-1", ("https://evil.example:443/v1/traces", ADDRESS[1])),
        ("w-1", "d-1", ADDRESS[:1]),
        ("w-1", "d-1", ("".join(ADDRESS),)),
        ("w-1", "d-1", ()),
    ],
)
def test_a_row_moved_to_another_place_does_not_open(
    workspace: str, destination: str, address: tuple[str, ...]
) -> None:
    with pytest.raises(VaultError):
        VAULT.open_secrets(
            seal({"apiKey": "x"}), workspace=workspace, destination=destination, address=address
        )


def test_two_fields_swapped_do_not_open() -> None:
    sealed = seal({"aa": "first", "bb": "other"})
    with pytest.raises(VaultError):
        open_(sealed.replace(b"aa", b"zz").replace(b"bb", b"aa").replace(b"zz", b"bb"))


def test_a_field_taken_out_is_noticed() -> None:
    sealed = seal({"aa": "first", "bb": "other"})
    cut = sealed.index(b"\x00\x00\x00\x02bb")
    with pytest.raises(VaultError):
        open_(sealed[:cut])


@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(seal({"apiKey": "value", "headers": "{}"}))
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    with pytest.raises(VaultError):
        open_(bytes(sealed))


@given(st.data())
def test_any_truncation_or_tail_is_noticed(data: st.DataObject) -> None:
    sealed = seal({"apiKey": "value"})
    with pytest.raises(VaultError):
        open_(sealed[: data.draw(st.integers(0, len(sealed) - 1))])
    with pytest.raises(VaultError):
        open_(sealed + data.draw(st.binary(min_size=1, max_size=80)))


@given(st.binary(max_size=200))
def test_random_bytes_are_a_vault_error_and_nothing_else(junk: bytes) -> None:
    with pytest.raises(VaultError):
        open_(junk)
    with pytest.raises(VaultError):
        VAULT.content_cipher(junk)


def test_an_unknown_key_id_is_named_as_such() -> None:
    with pytest.raises(VaultError, match="BROADCAST_ENCRYPTION_KEYS"):
        open_(seal({"apiKey": "x"}), Vault(KeyRing.parse(NEW)))


def test_another_key_under_the_same_id_does_not_open() -> None:
    with pytest.raises(VaultError):
        open_(seal({"apiKey": "x"}), Vault(KeyRing.parse(new_key("old"))))


def test_rotation_wraps_again_and_the_old_key_may_then_go() -> None:
    both, only_new = Vault(KeyRing.parse(f"{NEW},{OLD}")), Vault(KeyRing.parse(NEW))
    sealed = seal({"apiKey": "x"})
    assert open_(sealed, both) == {"apiKey": "x"}
    rewrapped = both.rewrap(sealed)
    assert (VAULT.key_id(sealed), both.key_id(rewrapped)) == ("old", "new")
    assert open_(rewrapped, only_new) == {"apiKey": "x"}


def test_rotation_does_not_loosen_the_binding() -> None:
    rewrapped = VAULT.rewrap(seal({"apiKey": "x"}))
    with pytest.raises(VaultError):
        VAULT.open_secrets(rewrapped, workspace="w-2", destination="d-1", address=ADDRESS)


def test_a_content_key_is_no_secret_row_and_the_other_way_round() -> None:
    with pytest.raises(VaultError):
        open_(VAULT.new_content_key())
    with pytest.raises(VaultError):
        VAULT.content_cipher(seal({}))


@given(st.binary(max_size=500), st.binary(max_size=20))
def test_content_opens_for_its_place_only(plain: bytes, aad: bytes) -> None:
    cipher = VAULT.content_cipher(VAULT.new_content_key())
    sealed = cipher.seal(plain, aad=aad)
    assert cipher.open(sealed, aad=aad) == plain
    with pytest.raises(VaultError):
        cipher.open(sealed, aad=aad + b"x")
    with pytest.raises(VaultError):
        cipher.open(sealed[:-1], aad=aad)


def test_content_outlives_the_rotation_of_its_key() -> None:
    key = VAULT.new_content_key()
    sealed = VAULT.content_cipher(key).seal(b"prompt", aad=b"7")
    rewrapped = Vault(KeyRing.parse(f"{NEW},{OLD}")).rewrap(key)
    again = Vault(KeyRing.parse(NEW)).content_cipher(rewrapped)
    assert again.open(sealed, aad=b"7") == b"prompt"
    assert again.fingerprint(b"{}") == VAULT.content_cipher(key).fingerprint(b"{}")


def test_a_fingerprint_stays_what_stored_rows_have() -> None:
    """Made in another way, every receipt sent again over an upgrade would be a conflict."""
    made = ContentCipher(bytes(range(32))).fingerprint(b'{"id":"gen-1"}')

    assert made.hex() == "85759573e67987c71d468c06338c1d2d"


def test_a_fingerprint_tells_documents_and_workspaces_apart() -> None:
    one, two = (VAULT.content_cipher(VAULT.new_content_key()) for _ in range(2))
    assert one.fingerprint(b"a") == one.fingerprint(b"a")
    assert len({one.fingerprint(b"a"), one.fingerprint(b"b"), two.fingerprint(b"a")}) == 3
    assert len(one.fingerprint(b"")) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "k1",
        "k1:",
        ":" + base64.b64encode(bytes(range(32))).decode(),
        "k1:not base64",
        "k1:" + base64.b64encode(bytes(range(31))).decode(),
        "k1:" + base64.b64encode(bytes(range(33))).decode(),
        "k1:" + base64.b64encode(bytes(32)).decode(),
        f"{OLD},{OLD}",
    ],
    ids=[
        "none",
        "commas",
        "no colon",
        "no key",
        "no id",
        "not base64",
        "31 bytes",
        "33 bytes",
        "zeros",
        "doubled",
    ],
)
def test_a_weak_doubled_or_missing_key_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match="BROADCAST_ENCRYPTION_KEYS"):
        KeyRing.parse(text)


def test_the_first_key_seals() -> None:
    assert Vault(KeyRing.parse(f"{NEW}, {OLD}")).sealing_id == "new"


def test_no_key_shows_in_a_printed_vault() -> None:
    assert OLD.partition(":")[2] not in repr(VAULT) + repr(KeyRing.parse(OLD))


def test_derived_keys_differ_by_purpose_and_verifiers_by_pepper() -> None:
    secret = b"s" * 32
    assert derive(secret, "pepper") != derive(secret, "cookies")
    assert verifier(b"a" * 32, "sk-1") != verifier(b"b" * 32, "sk-1")
    assert verifier(b"a" * 32, "sk-1") == verifier(b"a" * 32, "sk-1")


# -- a signature for a service account ---------------------------------------------------------------


def pem_of(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def test_an_rs256_signature_is_accepted_by_its_public_key_and_is_the_same_every_time() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signature = sign_rs256(pem_of(key), b"header.claims")
    key.public_key().verify(signature, b"header.claims", padding.PKCS1v15(), hashes.SHA256())
    assert sign_rs256(pem_of(key), b"header.claims") == signature


@pytest.mark.parametrize(
    "pem", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_private_key_signs_nothing(pem: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        sign_rs256(pem, b"x")


def test_a_key_of_another_kind_signs_nothing() -> None:
    with pytest.raises(ValueError, match="no RSA key"):
        sign_rs256(pem_of(ed25519.Ed25519PrivateKey.generate()), b"x")
