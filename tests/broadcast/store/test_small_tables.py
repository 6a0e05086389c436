"""The audit log, rate limits and passed tests."""

from broadcast.store import Store, audit, invitations, limits, passed_tests, password_resets, sweeps
from tests.broadcast.store.rows import NOW_US, a_user, a_workspace

SECOND_US = 1_000_000


def test_changes_are_listed_newest_first_with_who_made_them(store: Store) -> None:
    with store.write() as conn:
        home, other, ada = a_workspace(conn, "Home"), a_workspace(conn, "Other"), a_user(conn)
        audit.record(
            conn,
            workspace_id=home.id,
            user_id=ada.id,
            action="key.created",
            target="Production",
            now_us=NOW_US,
        )
        audit.record(
            conn,
            workspace_id=home.id,
            user_id=None,
            action="broadcast.enabled",
            target="",
            detail={"by": "command line"},
            now_us=NOW_US + 1,
        )
        newest, oldest = audit.list_for(conn, home.id, 10)
        assert (newest.action, newest.email, newest.detail) == (
            "broadcast.enabled",
            None,
            {"by": "command line"},
        )
        assert (oldest.action, oldest.email) == ("key.created", "ada@example.com")
        assert audit.list_for(conn, home.id, 10, before_id=newest.id) == [oldest]
        assert audit.list_for(conn, other.id, 10) == []


def test_a_limit_says_how_long_to_wait_and_opens_again(store: Store) -> None:
    def hit(now_us: int, key: str = "login:ada") -> int:
        with store.write() as conn:
            return limits.hit(conn, key=key, limit=2, window_us=10 * SECOND_US, now_us=now_us)

    assert [hit(NOW_US), hit(NOW_US), hit(NOW_US + SECOND_US)] == [0, 0, 9]
    assert hit(NOW_US, "login:bob") == 0
    assert hit(NOW_US + 10 * SECOND_US) == 0


def test_a_limit_can_be_forgotten(store: Store) -> None:
    with store.write() as conn:
        for _ in range(2):
            limits.hit(conn, key="k", limit=1, window_us=SECOND_US, now_us=NOW_US)
        limits.clear(conn, "k")
        assert limits.hit(conn, key="k", limit=1, window_us=SECOND_US, now_us=NOW_US) == 0
        assert limits.drop_ended(conn, NOW_US + SECOND_US) == 1


def test_a_passed_test_counts_for_its_workspace_and_its_time(store: Store) -> None:
    with store.write() as conn:
        home, other = a_workspace(conn, "Home"), a_workspace(conn, "Other")
        passed_tests.save(conn, home.id, "print", b"first", NOW_US)
        passed_tests.save(conn, home.id, "print", b"second", NOW_US + 10)
        assert passed_tests.find(conn, home.id, "print", NOW_US + 10) == b"second"
        assert passed_tests.find(conn, home.id, "print", NOW_US + 11) is None
        assert passed_tests.find(conn, other.id, "print", NOW_US) is None
        assert passed_tests.drop_older(conn, NOW_US + 11) == 1


def test_links_whose_time_is_over_are_swept(store: Store) -> None:
    with store.write() as conn:
        home, ada = a_workspace(conn), a_user(conn)
        for number, ends in enumerate((NOW_US, NOW_US + 1)):
            invitations.create(
                conn,
                token_hash=f"invitation {number}",
                workspace_id=home.id,
                email=f"{number}@example.com",
                role="viewer",
                invited_by=ada.id,
                now_us=0,
                expires_at_us=ends,
            )
            password_resets.create(
                conn, token_hash=f"reset {number}", user_id=ada.id, now_us=0, expires_at_us=ends
            )

        swept = sweeps.small_tables_before(conn, horizon_us=0, audit_horizon_us=0, now_us=NOW_US, limit=10)

        assert swept == 2
        assert [found.email for found, _ in invitations.list_for(conn, home.id, 0)] == ["1@example.com"]
        assert [password_resets.user_of(conn, f"reset {number}", 0) for number in range(2)] == [None, ada.id]
