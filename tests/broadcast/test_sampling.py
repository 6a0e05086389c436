from hashlib import sha256

from broadcast import sampling
from broadcast.trace_context import trace_id_of
from tests import factories

SESSIONS = [factories.receipt(session_id=f"session-{index}") for index in range(10_000)]


def test_a_tenth_of_the_sessions_is_a_tenth() -> None:
    kept = sum(sampling.keep("destination", receipt, 0.1) for receipt in SESSIONS)
    assert 900 <= kept <= 1100


def test_a_session_is_never_split() -> None:
    for rate in (0.2, 0.5, 0.8):
        answers = {
            sampling.keep("destination", factories.receipt(id=f"r{index}"), rate) for index in range(50)
        }
        assert len(answers) == 1


def test_raising_the_rate_only_adds() -> None:
    for receipt in SESSIONS[:500]:
        answers = [sampling.keep("destination", receipt, rate / 10) for rate in range(11)]
        assert answers == sorted(answers)


def test_destinations_choose_differently() -> None:
    one, other = ([sampling.keep(name, receipt, 0.5) for receipt in SESSIONS[:200]] for name in "ab")
    assert one != other


def test_the_formula_is_the_contracts() -> None:
    receipt = factories.receipt(session_id=None)
    digest = sha256(f"d:{trace_id_of(receipt)}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    assert sampling.keep("d", receipt, share + 1e-9)
    assert not sampling.keep("d", receipt, share - 1e-9)


def test_all_and_nothing() -> None:
    assert all(sampling.keep("d", receipt, 1.0) for receipt in SESSIONS[:100])
    assert not any(sampling.keep("d", receipt, 0.0) for receipt in SESSIONS[:100])
