from hashlib import sha256

import pytest

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


SAMPLED, DROPPED = (f"00-{'7' * 32}-{'1' * 16}-{flags}" for flags in ("01", "00"))


@pytest.mark.parametrize(
    ("sampler", "alone", "sampled", "dropped"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("traceidratio", False, True, True),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("parentbased_traceidratio", False, True, False),
    ],
)
def test_opentelemetrys_samplers(sampler: str, alone: bool, sampled: bool, dropped: bool) -> None:
    lone = factories.receipt(trace={"trace_id": "f" * 32})
    kept = [
        sampling.keep("d", receipt, 0.5, sampler)
        for receipt in (lone, *(factories.receipt(traceparent=given) for given in (SAMPLED, DROPPED)))
    ]
    assert kept == [alone, sampled, dropped]


@pytest.mark.parametrize("header", [f"00-{'A' * 32}-{'1' * 16}-01", f"ff{SAMPLED[2:]}", "nonsense", None])
def test_a_traceparent_that_is_not_valid_decides_nothing(header: str | None) -> None:
    receipt = factories.receipt(traceparent=header)
    assert sampling.keep("d", receipt, 1, "parentbased_always_on")
    assert not sampling.keep("d", receipt, 1, "parentbased_always_off")


@pytest.mark.parametrize("sampler", [None, *sampling.SAMPLERS])
def test_raising_the_rate_only_adds_with_any_sampler(sampler: str | None) -> None:
    for receipt in SESSIONS[:200]:
        answers = [sampling.keep("d", receipt, rate / 10, sampler) for rate in range(11)]
        assert answers == sorted(answers)


def test_a_ratio_keeps_the_traces_that_opentelemetrys_sdks_keep() -> None:
    below, above = (factories.receipt(trace={"trace_id": f"{'f' * 16}{half}"}) for half in HALVES)
    assert sampling.keep("any", below, 0.25, "traceidratio")
    assert not sampling.keep("any", above, 0.25, "traceidratio")


HALVES = ("3fffffffffffffff", "4000000000000000")


@pytest.mark.parametrize("rate", [0.5, 1.0])
@pytest.mark.parametrize("sampler", [None, *sampling.SAMPLERS])
def test_who_keeps_all_keeps_each(rate: float, sampler: str | None) -> None:
    if sampling.keeps_all(rate, sampler):
        assert all(sampling.keep("d", receipt, rate, sampler) for receipt in SESSIONS[:100])
