import json

from broadcast.trace_metadata import attributes


def test_scalars_keep_their_type_and_null_is_absent() -> None:
    found = attributes({"a": "1", "b": 1, "c": 1.5, "d": False, "e": None})
    assert found == {
        "trace.metadata.a": "1",
        "trace.metadata.b": 1,
        "trace.metadata.c": 1.5,
        "trace.metadata.d": False,
    }
    assert [type(value) for value in found.values()] == [str, int, float, bool]


def test_our_own_keys_are_not_metadata() -> None:
    keys = ("trace_id", "trace_name", "span_name", "generation_name", "parent_span_id")
    assert attributes(dict.fromkeys(keys, "x")) == {}
    assert attributes({"environment": "x"}) == {"trace.metadata.environment": "x"}


def test_arrays_of_one_scalar_type_stay_arrays() -> None:
    found = attributes({"a": ["x", "y"], "b": [1, 2], "c": [1, 2.5], "d": [True], "e": []})
    assert list(found.values()) == [("x", "y"), (1, 2), (1.0, 2.5), (True,), ()]


def test_mixed_arrays_become_json() -> None:
    found = attributes({"a": [1, "x"], "b": [None], "c": [{"k": 1}], "d": [True, 1]})
    assert list(found.values()) == ['[1,"x"]', "[null]", '[{"k":1}]', "[true,1]"]


def test_objects_are_flattened_three_deep() -> None:
    found = attributes({"a": {"b": {"c": 1, "d": {"e": 2}}}, "f": {}})
    assert found == {
        "trace.metadata.a.b.c": 1,
        "trace.metadata.a.b.d": '{"e":2}',
        "trace.metadata.f": "{}",
    }


def test_beyond_128_keys_the_rest_is_one_json_text() -> None:
    assert len(attributes({f"k{index}": index for index in range(128)})) == 128
    found = attributes({f"k{index}": index for index in range(1000)})
    assert len(found) == 128
    assert json.loads(found["trace.metadata"]) == {f"k{index}": index for index in range(127, 1000)}


def test_integers_beyond_64_bits_become_text() -> None:
    assert attributes({"a": 2**63, "b": [2**63]}) == {
        "trace.metadata.a": "9223372036854775808",
        "trace.metadata.b": "[9223372036854775808]",
    }
