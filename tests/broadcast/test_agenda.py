from broadcast.agenda import Agenda

FULL = 64


def test_what_waits_longest_is_looked_at_first() -> None:
    agenda = Agenda(FULL)
    agenda.add([7, 3])
    agenda.add([5])

    assert [agenda.take() for _ in range(4)] == [[7], [3], [5], []]


def test_a_workspace_noted_twice_keeps_its_place_and_is_looked_at_once() -> None:
    agenda = Agenda(FULL)
    agenda.add([7, 3])
    agenda.add([7])

    assert [agenda.take() for _ in range(3)] == [[7], [3], []]


def test_a_full_claim_may_have_left_something_which_waits_behind_the_others() -> None:
    agenda = Agenda(FULL)
    agenda.add([7, 3])
    taken = agenda.take()

    agenda.found(taken, FULL)

    assert [agenda.take(), agenda.take()] == [[3], [7]]


def test_a_claim_that_was_not_full_has_left_nothing() -> None:
    agenda = Agenda(FULL)
    agenda.add([7])

    agenda.found(agenda.take(), FULL - 1)

    assert agenda.take() == []


def test_where_workspaces_have_few_destinations_a_claim_looks_at_more_of_them() -> None:
    agenda = Agenda(FULL)
    agenda.add(range(1_000))

    widths = []
    for _ in range(8):
        taken = agenda.take()
        widths.append(len(taken))
        agenda.found(taken, len(taken))

    assert widths == [1, 2, 4, 8, 16, 32, 32, 32]


def test_where_claims_are_full_the_next_ones_look_at_fewer() -> None:
    agenda = Agenda(FULL)
    agenda.add(range(1_000))
    for _ in range(3):
        agenda.found(agenda.take(), 0)

    widths = []
    for _ in range(4):
        taken = agenda.take()
        widths.append(len(taken))
        agenda.found(taken, FULL)

    assert widths == [8, 4, 2, 1]
