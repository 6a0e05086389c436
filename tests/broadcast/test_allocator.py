import ctypes

import pytest

from broadcast.allocator import keep_memory


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    keep_memory()


def test_both_thresholds_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ctypes.CDLL(None)
    taken: list[int] = []

    class Watched:
        @staticmethod
        def mallopt(what: int, size: int) -> None:
            taken.append(real.mallopt(what, size) if hasattr(real, "mallopt") else 1)

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Watched)
    keep_memory()
    assert taken == [1, 1]
