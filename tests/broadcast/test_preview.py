import pytest

from broadcast import preview as previews
from broadcast.fates import Fate
from broadcast.preview import Preview
from broadcast.store import Store, receipts
from broadcast.wanted import Wanted
from destinations import TYPES
from tests.broadcast.replaying import DELIVERED, SECOND_US, Past, at_us
from tests.broadcast.store.rows import NOW_US

ALL = Wanted(from_us=0)


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store, dict(TYPES))


def previewed(past: Past, wanted: Wanted = ALL) -> Preview:
    return past.replays.preview(past.workspace, past.uid, wanted, now_us=NOW_US)


def test_a_preview_says_how_many_would_be_sent_and_how_large(past: Past) -> None:
    past.append(1, 2, 3, 4)
    past.settle(DELIVERED, Fate.REJECTED, DELIVERED, Fate.EXPIRED)

    found = previewed(past)

    assert (found.receipts, found.already_delivered, found.to_send) == (4, 2, 2)
    assert (found.from_seq, found.to_seq) == (2, 4)
    assert (found.from_at_us, found.to_at_us) == (at_us(2), at_us(4))
    with past.store.read() as conn:
        rows = receipts.by_seqs(conn, past.workspace.id, (2, 4))
    assert found.bytes == sum(len(row.document) for row in rows)
    assert not found.estimated
    assert "2 were delivered before and left out" in found.message


def test_delivered_ones_are_counted_in_when_asked_for(past: Past) -> None:
    past.append(1, 2)
    past.settle(DELIVERED, DELIVERED)

    assert previewed(past).to_send == 0
    assert previewed(past, Wanted(from_us=0, include_delivered=True)).to_send == 2


def test_a_range_has_its_beginning_and_not_its_end(past: Past) -> None:
    past.append(1, 2, 3, 4)
    past.settle(*[Fate.REJECTED] * 4)

    found = previewed(past, Wanted(from_us=at_us(2), to_us=at_us(4)))

    assert (found.receipts, found.from_seq, found.to_seq) == (2, 2, 3)


def test_what_still_waits_is_not_replayed(past: Past) -> None:
    past.append(1, 2, 3)
    past.settle(Fate.REJECTED)

    found = previewed(past)

    assert (found.receipts, found.waiting, found.to_send) == (3, 2, 1)
    assert "2 wait for their first delivery" in found.message


def test_today_s_filters_sampling_and_age_decide(past: Past) -> None:
    past.append(1, 2, model="one/model")
    past.append(3, model="another/model")
    past.settle(*[Fate.REJECTED] * 3)
    rules = {"groups": [{"rules": [{"field": "model", "operator": "equals", "value": "another/model"}]}]}
    past.change(filter_rules=rules)
    assert (previewed(past).filtered, previewed(past).to_send) == (2, 1)

    past.change(filter_rules=None, sampling_rate=0.0)
    assert (previewed(past).sampled_out, previewed(past).to_send) == (3, 0)


def test_what_is_older_than_the_destination_takes_is_said(store: Store) -> None:
    forgetful = type("Forgetful", (TYPES["otel-collector"],), {"max_age_s": 3598})
    past = Past(store, {"otel-collector": forgetful})
    past.append(1, 3)
    past.settle(Fate.REJECTED, Fate.REJECTED)

    found = previewed(past)

    assert (found.expired, found.to_send) == (1, 1)
    assert "1 is older than the destination takes" in found.message


def test_contents_that_are_gone_are_said_where_content_is_sent(past: Past) -> None:
    past.append(1, 2, content=b"sealed content")
    past.settle(Fate.REJECTED, Fate.REJECTED)
    with_content = previewed(past)
    with past.store.write() as conn:
        receipts.drop_contents(conn, past.workspace.id, 1)

    without = previewed(past)

    assert with_content.without_content == 0
    assert with_content.bytes - without.bytes == len(b"sealed content")
    assert without.without_content == 1
    past.change(privacy_level="metadata")
    assert previewed(past).without_content == 0


def test_of_many_receipts_some_speak_for_all(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "SAMPLE", 5)
    past.append(*range(20))
    past.settle(*[Fate.REJECTED] * 20)

    found = previewed(past)

    assert found.estimated
    assert (found.receipts, found.to_send, found.from_seq, found.to_seq) == (20, 20, 1, 20)


def test_the_view_says_times_as_the_api_does(past: Past) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)

    shown = previewed(past).view()

    assert shown["from_at"] == shown["to_at"] == shown["kept_since"]
    assert shown["from_at"].endswith("Z")
    assert shown["source"] == "range"
    assert {"receipts", "already_delivered", "to_send", "bytes", "message"} <= shown.keys()


def test_an_empty_range_is_a_preview_of_nothing(past: Past) -> None:
    found = previewed(past, Wanted(from_us=NOW_US + SECOND_US))

    assert (found.receipts, found.to_send, found.bytes, found.from_seq) == (0, 0, 0, None)
