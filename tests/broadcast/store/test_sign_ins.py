"""Who people are at the identity provider, and sign-ins that are under way there."""

import pytest

from broadcast.store import Store, identities, sign_ins, sweeps
from broadcast.store.sign_ins import SignIn
from tests.broadcast.store.rows import NOW_US, a_user

ISSUER = "https://id.example.com"
AWAY = SignIn(nonce="nonce", verifier="verifier", next="/w/team/activity", invitation_hash=None)


def away(store: Store, *, state: str = "state", browser: str = "browser", ends_in_us: int = 1) -> None:
    with store.write() as conn:
        sign_ins.create(
            conn,
            AWAY,
            state_hash=state,
            browser_hash=browser,
            now_us=NOW_US,
            expires_at_us=NOW_US + ends_in_us,
        )


def claim(store: Store, *, state: str = "state", browser: str = "browser") -> SignIn | None:
    with store.write() as conn:
        return sign_ins.claim(conn, state_hash=state, browser_hash=browser, now_us=NOW_US)


def test_a_sign_in_is_claimed_once(store: Store) -> None:
    away(store)

    assert claim(store) == AWAY
    assert claim(store) is None


@pytest.mark.parametrize(
    ("asked", "ends_in_us"), [({"state": "other"}, 1), ({"browser": "other"}, 1), ({}, 0)]
)
def test_another_state_another_browser_or_a_late_one_claims_nothing(
    store: Store, asked: dict[str, str], ends_in_us: int
) -> None:
    away(store, ends_in_us=ends_in_us)

    assert claim(store, **asked) is None


def test_what_nobody_came_back_for_is_swept(store: Store) -> None:
    away(store, state="over", ends_in_us=0)
    away(store, state="open")

    with store.write() as conn:
        swept = sweeps.small_tables_before(conn, horizon_us=0, audit_horizon_us=0, now_us=NOW_US, limit=10)

    assert swept == 1
    assert claim(store, state="open") == AWAY


def test_a_sign_in_does_not_print_what_it_is_proved_by() -> None:
    assert repr(AWAY) == "SignIn(next='/w/team/activity')"


def test_a_subject_opens_one_account_of_its_issuer(store: Store) -> None:
    with store.write() as conn:
        ada = a_user(conn)
        identities.connect(conn, user_id=ada.id, issuer=ISSUER, subject="ada", now_us=NOW_US)

        assert identities.user_of(conn, issuer=ISSUER, subject="ada") == ada.id
        assert identities.user_of(conn, issuer=f"{ISSUER}/", subject="ada") is None
        assert identities.user_of(conn, issuer=ISSUER, subject="Ada") is None
        assert identities.connected_at_us(conn, user_id=ada.id, issuer=ISSUER) == NOW_US


def test_whoever_is_connected_last_takes_the_place_of_the_one_before(store: Store) -> None:
    with store.write() as conn:
        ada = a_user(conn)
        for subject in ("old", "new"):
            identities.connect(conn, user_id=ada.id, issuer=ISSUER, subject=subject, now_us=NOW_US)

        assert identities.user_of(conn, issuer=ISSUER, subject="old") is None
        assert identities.user_of(conn, issuer=ISSUER, subject="new") == ada.id


def test_a_connection_ends(store: Store) -> None:
    with store.write() as conn:
        ada = a_user(conn)
        identities.connect(conn, user_id=ada.id, issuer=ISSUER, subject="ada", now_us=NOW_US)

        ended = [identities.disconnect(conn, user_id=ada.id, issuer=ISSUER) for _ in range(2)]

        assert ended == [True, False]
        assert identities.user_of(conn, issuer=ISSUER, subject="ada") is None
