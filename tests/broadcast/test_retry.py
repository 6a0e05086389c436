import pytest

from broadcast import retry

NOW_US = 1_790_000_000_000_000
SECOND_US = 1_000_000


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0.5), (1, 0.5), (2, 1), (3, 2), (4, 5), (5, 10), (6, 20), (7, 30), (8, 60), (9, 60), (10**9, 60)],
)
def test_the_schedule(failures: int, seconds: float) -> None:
    assert retry.delay_us(failures, jitter=0) == seconds * SECOND_US


def test_jitter_is_a_fifth_either_way() -> None:
    assert retry.delay_us(5, jitter=-1) == 8 * SECOND_US
    assert retry.delay_us(5, jitter=1) == 12 * SECOND_US
    assert retry.delay_us(5, jitter=7) == 12 * SECOND_US


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 1),
        ("3600", 3600),
        ("86400", 3600),
        ("9" * 400, 3600),
        ("Mon, 21 Sep 2026 14:13:50 GMT", 30),
        ("Mon, 21 Sep 2026 14:13:00 GMT", 1),
        ("Tue, 22 Sep 2026 14:13:20 GMT", 3600),
    ],
)
def test_retry_after_wins_within_bounds(header: str, seconds: int) -> None:
    assert retry.delay_us(5, jitter=1, retry_after=header, now_us=NOW_US) == seconds * SECOND_US


@pytest.mark.parametrize(
    "junk", [None, "", "soon", "-5", "1.5", "٣", "1e3", "Mon, 99 Foo", "\x00", "Mon, 21 Sep 99999 1:1:1 GMT"]
)
def test_junk_counts_as_absent(junk: str | None) -> None:
    assert retry.delay_us(3, jitter=0, retry_after=junk, now_us=NOW_US) == 2 * SECOND_US
