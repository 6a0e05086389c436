from tests.web.pages.conftest import Pages


def test_the_zone_is_remembered_without_a_script(pages: Pages) -> None:
    assert "Times in UTC" in pages.get("/settings/keys")
    answer = pages.post("/settings/times", {"zone": "Asia/Kolkata", "back": pages.at("/settings/keys?a=1")})
    assert answer.location == pages.at("/settings/keys?a=1")
    assert "Times in Asia/Kolkata" in pages.get("/settings/keys")
    pages.post("/settings/times", {"zone": "UTC"})
    assert "Times in UTC" in pages.get("/settings/keys")


def test_an_unknown_zone_is_refused_beside_its_field(pages: Pages) -> None:
    answer = pages.post("/settings/times", {"zone": "Mars/Olympus"})
    assert answer.status_code == 422
    assert "does not know this zone" in answer.text


def test_a_cookie_that_names_no_zone_means_utc(pages: Pages) -> None:
    pages.client.set_cookie("broadcast_zone", "../../etc/passwd")
    assert "Times in UTC" in pages.get("/settings/keys")


def test_the_way_back_never_leads_elsewhere(pages: Pages) -> None:
    for target in ("https://evil.example/", "//evil.example", "/login", "/w/other/activity"):
        answer = pages.post("/settings/times", {"zone": "UTC", "back": target})
        assert answer.location == pages.at("/activity")
