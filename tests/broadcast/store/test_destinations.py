"""Configured destinations."""

import pytest

from broadcast.errors import Conflict
from broadcast.store import Store, destinations
from tests.broadcast.store.rows import NOW_US, a_destination, a_workspace


def test_a_destination_comes_back_as_it_was_stored(store: Store) -> None:
    rules = {"groups": [{"logic": "and", "rules": []}]}
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(
            conn, home.id, "Tempo", sampling_rate=0.25, api_key_hashes=("a", "b"), filter_rules=rules
        )
    with store.read() as conn:
        found = destinations.by_id(conn, id_)
        assert found is not None
        assert destinations.by_uid(conn, home.id, found.uid) == found
        assert destinations.by_ids(conn, [id_, 999]) == {id_: found}
        assert destinations.list_for(conn, home.id) == [found]
        assert destinations.all_ids(conn) == [id_]
    assert found.address == ("https://collector.example/v1/traces",)
    assert (found.sampling_rate, found.api_key_hashes, found.excluded_api_key_hashes) == (
        0.25,
        ("a", "b"),
        None,
    )
    assert (found.filter_rules, found.sealed, found.version) == (rules, b"sealed", 1)


def test_what_is_known_is_read_again_once_it_has_changed(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        same, edited, paused, deleted = (
            a_destination(conn, home.id, name) for name in ("Same", "Edited", "Paused", "Deleted")
        )
        known = destinations.by_ids(conn, [same, edited, paused, deleted])
        destinations.update(conn, edited, 1, sampling_rate=0.5, now_us=NOW_US)
        destinations.pause(conn, paused, by="person", reason=None, now_us=NOW_US)
        destinations.delete(conn, deleted, now_us=NOW_US)
        found = destinations.by_ids(conn, known, known)
        assert found == destinations.by_ids(conn, known)
    assert found[same] is known[same]
    assert (found[edited].sampling_rate, found[paused].paused_by) == (0.5, "person")
    assert found.keys() == {same, edited, paused}


def test_sealed_secrets_never_print(store: Store) -> None:
    with store.write() as conn:
        found = destinations.by_id(conn, a_destination(conn, a_workspace(conn).id))
    assert "sealed" not in repr(found)


def test_another_workspace_s_destination_is_not_found(store: Store) -> None:
    with store.write() as conn:
        mine, theirs = a_workspace(conn, "Mine"), a_workspace(conn, "Theirs")
        found = destinations.by_id(conn, a_destination(conn, theirs.id))
        assert found is not None
        assert destinations.by_uid(conn, mine.id, found.uid) is None
        assert destinations.list_for(conn, mine.id) == []


def test_a_name_is_taken_once_in_a_workspace_without_regard_to_case(store: Store) -> None:
    with store.write() as conn:
        mine, theirs = a_workspace(conn, "Mine"), a_workspace(conn, "Theirs")
        id_ = a_destination(conn, mine.id, "Tempo")
        a_destination(conn, theirs.id, "Tempo")
        assert destinations.name_taken(conn, mine.id, " TEMPO ")
        assert not destinations.name_taken(conn, mine.id, "tempo", besides_id=id_)
    with pytest.raises(Conflict) as raised, store.write() as conn:
        a_destination(conn, mine.id, "tempo")
    assert raised.value.field == "name"


def test_renaming_to_a_taken_name_is_a_conflict(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        a_destination(conn, home.id, "One")
        two = a_destination(conn, home.id, "Two")
    with pytest.raises(Conflict), store.write() as conn:
        destinations.update(conn, two, 1, now_us=NOW_US, name="ONE")


def test_an_edit_of_an_older_version_changes_nothing(store: Store) -> None:
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        assert destinations.update(conn, id_, 1, now_us=NOW_US + 5, name="First", api_key_hashes=("k",))
        assert not destinations.update(conn, id_, 1, now_us=NOW_US + 6, name="Second")
        found = destinations.by_id(conn, id_)
    assert found is not None
    assert (found.name, found.version, found.updated_at_us) == ("First", 2, NOW_US + 5)
    assert found.api_key_hashes == ("k",)


def test_a_deleted_destination_loses_its_secrets_and_frees_its_name(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id, "Tempo")
        assert destinations.delete(conn, id_, now_us=NOW_US)
        assert not destinations.delete(conn, id_, now_us=NOW_US)
        assert destinations.by_id(conn, id_) is None
        assert destinations.list_for(conn, home.id) == []
        a_destination(conn, home.id, "Tempo")


def test_the_first_pause_by_an_answer_stays_until_it_is_resumed(store: Store) -> None:
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        assert destinations.pause(conn, id_, by="answer", reason="401", now_us=NOW_US)
        assert not destinations.pause(conn, id_, by="answer", reason="403", now_us=NOW_US + 1)
        found = destinations.by_id(conn, id_)
        assert found is not None
        assert (found.paused_by, found.pause_reason, found.paused_at_us) == ("answer", "401", NOW_US)
        assert destinations.resume(conn, id_)
        assert not destinations.resume(conn, id_)


def test_a_person_s_pause_replaces_an_answer_s_and_no_answer_replaces_it(store: Store) -> None:
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        destinations.pause(conn, id_, by="answer", reason="401", now_us=NOW_US)
        assert destinations.pause(conn, id_, by="person", reason=None, now_us=NOW_US)
        assert not destinations.pause(conn, id_, by="answer", reason="401", now_us=NOW_US)
        found = destinations.by_id(conn, id_)
        assert found is not None
        assert (found.paused_by, found.pause_reason) == ("person", None)
        assert not destinations.resume(conn, id_, paused_by="answer")


def test_the_demo_s_destinations_do_not_count(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        a_destination(conn, home.id, "Receiver", origin="demo")
        a_destination(conn, home.id, "Mine")
        assert destinations.count_of_type(conn, home.id, "otel-collector") == 1


def test_content_is_wanted_only_where_an_enabled_destination_sends_it(store: Store) -> None:
    with store.write() as conn:
        private, full, off, silent = (
            a_workspace(conn, name, broadcast=name != "Silent")
            for name in ("Private", "Full", "Off", "Silent")
        )
        a_destination(conn, private.id, privacy_level="metadata")
        a_destination(conn, full.id)
        a_destination(conn, off.id, enabled=False)
        a_destination(conn, silent.id)
        everyone = [item.id for item in (private, full, off, silent)]
        assert destinations.any_wants_content(conn, everyone) == {full.id}


def test_secrets_wrapped_anew_never_overwrite_an_edit(store: Store) -> None:
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        destinations.update(conn, id_, 1, now_us=NOW_US, sealed=b"edited")
        assert not destinations.reseal(conn, id_, 1, b"old, wrapped anew")
        assert destinations.reseal(conn, id_, 2, b"edited, wrapped anew")
