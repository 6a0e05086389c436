"""How often something may be done within a time."""

import pytest

from broadcast.errors import TooManyRequests
from broadcast.rate_limit import RateLimit
from broadcast.store import Store
from tests.broadcast.store.rows import NOW_US

SECOND_US = 1_000_000
TWICE = RateLimit(uses=2, within_us=10 * SECOND_US, words="Too often. Wait a little.")


def test_so_many_uses_are_free_and_one_more_says_when_to_come_back(store: Store) -> None:
    for _ in range(2):
        TWICE.count(store, "k", now_us=NOW_US)

    with pytest.raises(TooManyRequests) as refused:
        TWICE.count(store, "k", now_us=NOW_US + SECOND_US)

    assert (str(refused.value), refused.value.retry_after_s) == ("Too often. Wait a little.", 9)
    TWICE.count(store, "k", now_us=NOW_US + 10 * SECOND_US)


def test_of_several_keys_each_is_counted_and_the_longest_wait_is_told(store: Store) -> None:
    for _ in range(2):
        TWICE.count(store, "first", now_us=NOW_US)
        TWICE.count(store, "second", now_us=NOW_US + 5 * SECOND_US)

    with pytest.raises(TooManyRequests) as refused:
        TWICE.count(store, "first", "second", "third", now_us=NOW_US + 5 * SECOND_US)

    assert refused.value.retry_after_s == 10
    TWICE.count(store, "third", now_us=NOW_US + 5 * SECOND_US)
    with pytest.raises(TooManyRequests):
        TWICE.count(store, "third", now_us=NOW_US + 5 * SECOND_US)
