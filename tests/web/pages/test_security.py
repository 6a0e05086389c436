from tests.web.pages.conftest import Pages, csrf


def test_the_policy_forbids_everything_that_is_not_ours(pages: Pages) -> None:
    policy = pages.client.get(pages.at("/activity")).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy


def test_a_stranger_is_sent_to_the_login_and_back(pages: Pages) -> None:
    answer = pages.app.test_client().get(pages.at("/settings/keys"))
    assert answer.status_code == 303
    assert answer.location.startswith("/login?next=")


def test_a_form_without_its_token_changes_nothing(pages: Pages) -> None:
    answer = pages.client.post(pages.at("/settings/observability/switch"), data={"enabled": "on"})
    assert answer.status_code == 400
    assert "Broadcast is off" in pages.get("/settings/observability")


def test_another_host_is_refused(pages: Pages) -> None:
    assert pages.client.get("/login", headers={"Host": "evil.example"}).status_code == 400


def test_wrong_password_is_one_answer(pages: Pages) -> None:
    client = pages.app.test_client()
    token = csrf(client.get("/login").text)
    answer = client.post("/login", data={"csrf_token": token, "email": "nobody@example.com", "password": "x"})
    assert answer.status_code == 401
    assert "Email or password is wrong." in answer.text
