from broadcast.shares import Shares

WORKSPACES = range(1, 1_001)


def shares(*holders: str) -> dict[str, set[int]]:
    found = {}
    for holder in holders:
        one = Shares(holder)
        one.learn(holders)
        found[holder] = one.mine(WORKSPACES)
    return found


def test_a_worker_alone_looks_first_everywhere() -> None:
    assert Shares("a").mine(WORKSPACES) == set(WORKSPACES)


def test_every_workspace_is_in_one_share() -> None:
    found = shares("a", "b", "c")

    assert sorted(id_ for share in found.values() for id_ in share) == list(WORKSPACES)


def test_shares_are_about_alike() -> None:
    found = shares("a", "b", "c", "d")

    assert all(150 < len(share) < 350 for share in found.values())


def test_when_a_worker_goes_only_its_share_finds_another() -> None:
    before, after = shares("a", "b", "c"), shares("a", "b")

    assert before["a"] <= after["a"]
    assert before["b"] <= after["b"]


def test_a_worker_that_is_not_listed_yet_counts_itself_in() -> None:
    one = Shares("a")
    one.learn({"b"})

    assert 0 < len(one.mine(WORKSPACES)) < len(WORKSPACES)
