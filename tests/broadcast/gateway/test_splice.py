import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.gateway.splice import with_id

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("id"), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'{"id":"a","b":1}', b'{"id":"gen-1","b":1}'),
        (b' {\n "id" :\t"a\\"}", "b" : 1.50}', b' {\n "id" :\t"gen-1", "b" : 1.50}'),
        (b'{"b":{"id":"x"},"c":"id","id":null}', b'{"b":{"id":"x"},"c":"id","id":"gen-1"}'),
        (b'{"b":"\\"id\\":","id":7}', b'{"b":"\\"id\\":","id":"gen-1"}'),
        (b'{"b":[{"id":1}]}', b'{"id":"gen-1","b":[{"id":1}]}'),
        (b"{}", b'{"id":"gen-1"}'),
        (b"[1]", b"[1]"),
    ],
)
def test_only_the_top_level_id_changes(document: bytes, expected: bytes) -> None:
    assert with_id(document, "gen-1") == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'{"type":"x","of":{"id":"a","b":1},"id":2}', b'{"type":"x","of":{"id":"gen-1","b":1},"id":2}'),
        (
            b'{"id":"x", "of" : { "b":{"id":1}, "id":null}}',
            b'{"id":"x", "of" : { "b":{"id":1}, "id":"gen-1"}}',
        ),
        (b'{"in":{"of":{"id":1}},"of":{}}', b'{"in":{"of":{"id":1}},"of":{"id":"gen-1"}}'),
        (b'{"of":{"b":[1]},"c":{"id":1}}', b'{"of":{"id":"gen-1","b":[1]},"c":{"id":1}}'),
        (b'{"type":"of","of":null,"id":1}', b'{"type":"of","of":null,"id":1}'),
        (b'{"id":1}', b'{"id":1}'),
        (b"[1]", b"[1]"),
    ],
)
def test_only_the_id_inside_a_member_changes(document: bytes, expected: bytes) -> None:
    assert with_id(document, "gen-1", inside="of") == expected


@given(
    st.dictionaries(st.text(), json_values),
    st.none() | st.text() | st.integers(),
    st.booleans(),
    st.integers(0, 4),
)
def test_every_other_value_stays(
    before: dict[str, object], old: object, ascii_only: bool, indent: int
) -> None:
    document = {**before, "id": old}
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent or None).encode(
        "utf-8", "surrogatepass"
    )
    spliced = with_id(text, "gen-1")
    assert json.loads(spliced.decode("utf-8", "surrogatepass")) == {**document, "id": "gen-1"}
    assert len(spliced) == len(text) - len(json.dumps(old, ensure_ascii=ascii_only).encode()) + len('"gen-1"')
