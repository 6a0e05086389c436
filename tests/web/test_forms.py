"""The form module by itself: from a declaration to a form, and from a post to the body of the API."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from werkzeug.datastructures import MultiDict

from broadcast import additions, draft, filters, privacy, sampling
from broadcast.destination import OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field
from broadcast.store.destinations import StoredDestination
from broadcast.store.keys import ApiKey
from destinations import TYPES
from web.form_fields import in_words
from web.forms import GROUPS, PRIVACY, REGIONS, SAMPLERS, DestinationForm, destination_form


class Everything(OTLPDestination):
    """A setting of every kind."""

    title = "Everything"

    base_url: HttpsUrl = field("Base URL", example="https://otlp.example.com", help="Where it listens.")
    instance_id: str = field("Instance ID", example="123456", pattern=r"\d+")
    api_key: Secret = field("API key", example="key", help="From its page.")
    zone: Literal["us", "eu"] = field("Zone", default="us", example="us")
    dataset: str | None = field("Dataset", default=None, example="llm")
    verbose: bool = field("Verbose", default=False, example=True)
    headers: SecretHeaders = field("Headers", default=SecretHeaders(), example={"X-Team": "search"})


GOOD = {
    "name": "Prod",
    "config-baseUrl": "https://otlp.example.com",
    "config-instanceId": "123456",
    "config-apiKey": "a-secret-of-this-test",
    "config-zone": "eu",
    "sampling_percent": "100",
    "privacy_level": "metadata",
}
STORED = StoredDestination(
    id=1, uid="u", workspace_id=1, type="everything", name="Prod", enabled=False,
    config={"baseUrl": "https://otlp.example.com", "instanceId": "123456", "zone": "eu", "verbose": True},
    masks={"apiKey": "a-se…test", "headers": {"X-Team": "sear…chte"}}, sealed=b"", address=(), version=3,
    privacy_level="full", sampling_rate=0.25, api_key_hashes=("a" * 64,), excluded_api_key_hashes=None,
    filter_rules=None, broadcast_generation_cost=True, broadcast_generation_identity=False,
    broadcast_generation_request_context=False, origin="user", paused_by=None, pause_reason=None,
    paused_at_us=None, created_at_us=1, updated_at_us=2,
)  # fmt: skip


def posted(*more: tuple[str, str]) -> DestinationForm:
    """Return the form of a new destination as posted."""
    return destination_form(Everything, data=MultiDict([*GOOD.items(), *more]))


def edited(*more: tuple[str, str], stored: StoredDestination = STORED, **options: Any) -> DestinationForm:
    """Return the form of the stored destination as posted, no secret entered."""
    values = {**GOOD, "config-apiKey": ""}
    return destination_form(Everything, data=MultiDict([*values.items(), *more]), stored=stored, **options)


def problem(form: DestinationForm, name: str) -> str:
    assert not form.validate()
    return " ".join(map(str, form.errors[name]))


# -- declaration to form -----------------------------------------------------------------------------


def test_each_setting_is_a_field_in_declared_order_under_its_outside_name() -> None:
    form = destination_form(Everything)
    assert [item.name for item in form.settings()] == [
        f"config-{name}"
        for name in ("baseUrl", "instanceId", "apiKey", "zone", "dataset", "verbose", "headers")
    ]
    assert [item.label.text for item in form.settings()][:3] == ["Base URL", "Instance ID", "API key"]
    assert form["config-apiKey"].description == "From its page."


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("baseUrl", "url"),
        ("instanceId", "text"),
        ("apiKey", "password"),
        ("zone", "<select"),
        ("dataset", "text"),
        ("verbose", "checkbox"),
    ],
)
def test_each_kind_is_typed_into_its_own_control(name: str, kind: str) -> None:
    assert kind in str(destination_form(Everything)[f"config-{name}"]())


def test_a_new_form_starts_with_the_defaults_and_sends_the_least() -> None:
    form = destination_form(Everything)
    assert form["config-zone"].data == "us"
    assert form.enabled.data is True
    assert form.privacy_level.data == "metadata"
    assert form.sampling_percent.data == 100
    assert not any(form[name].data for name, _, _ in GROUPS)


def test_only_levels_that_exist_are_rungs() -> None:
    assert tuple(level for level, _, _ in PRIVACY) == privacy.LEVELS


def test_only_regions_that_exist_are_offered_and_every_one() -> None:
    assert tuple(region for region, _, _ in REGIONS) == filters.REGIONS


def test_the_form_has_every_field_that_a_body_may_have() -> None:
    """What only the API could set, nobody would find."""
    body = destination_form(Everything).body("everything")
    assert body.keys() | {"privacy_mode", "workspace_id"} == draft.FIELDS


# -- form to body ------------------------------------------------------------------------------------


def test_a_good_post_is_the_body_of_the_api() -> None:
    form = posted()
    assert form.validate(), form.errors
    assert form.body("everything") == {
        "type": "everything",
        "name": "Prod",
        "enabled": True,
        "config": {
            "baseUrl": "https://otlp.example.com",
            "instanceId": "123456",
            "apiKey": "a-secret-of-this-test",
            "zone": "eu",
            "dataset": None,
            "verbose": False,
        },
        "privacy_level": "metadata",
        **{name: False for name, _, _ in GROUPS},
        "sampling_rate": 1.0,
        "sampler": None,
        "redaction_patterns": None,
        "resource_attributes": None,
        "api_key_hashes": None,
        "excluded_api_key_hashes": None,
        "regions": ["global"],
        "filter_rules": None,
    }


def test_every_sampler_is_offered_beside_whole_sessions() -> None:
    assert [name or None for name, _ in SAMPLERS] == [None, *sampling.SAMPLERS]


LINES = ' team = search\r\n\r\ncount=3\nratio=0.5\non=true\nquoted="3"\nurl=https://a.example/?a=b\nnot=null'
ATTRIBUTES = {
    "team": "search",
    "count": 3,
    "ratio": 0.5,
    "on": True,
    "quoted": "3",
    "url": "https://a.example/?a=b",
    "not": "null",
}


def test_lines_are_patterns_attributes_and_a_sampler_to_the_body() -> None:
    form = posted(
        ("redaction_patterns", "EMP-[0-9]+\r\n\r\n  CASE .* "),
        ("resource_attributes", LINES),
        ("sampler", "parentbased_traceidratio"),
    )
    assert form.validate(), form.errors
    body = form.body("everything")
    assert body["redaction_patterns"] == ["EMP-[0-9]+", "CASE .*"]
    assert body["resource_attributes"] == ATTRIBUTES
    assert body["sampler"] == "parentbased_traceidratio"


@pytest.mark.parametrize(
    "value",
    [
        *["a", " a", "a ", "a b", "1", "1.5", "true", "null", '"a"', " 1", "[", "a=b", "=", "NaN"],
        *("[" * 1024, 1, -(2**63), 0.1, 1e300, True, False),
    ],
)
def test_an_attribute_that_is_stored_is_read_as_the_same(value: Any) -> None:
    attributes = additions.read_attributes({"team": value})
    body = destination_form(Everything, stored=replace(STORED, resource_attributes=attributes)).body(
        "everything"
    )
    assert body["resource_attributes"] == {"team": value}
    assert type(body["resource_attributes"]["team"]) is type(value)


def test_what_is_too_deep_to_be_read_is_a_text() -> None:
    form = posted(("resource_attributes", "team=" + "[" * 100_000))
    assert not form.validate()
    assert "team is a text of 1 to 1024 characters" in problem(form, "resource_attributes")


@pytest.mark.parametrize("pattern", ["EMP-[0-9]+", "a b", r"\sfoo\s", r"a\nb", "#.*", "x" * 200])
def test_a_pattern_that_is_stored_is_read_as_the_same(pattern: str) -> None:
    patterns = additions.read_patterns([pattern, "other"])
    body = destination_form(Everything, stored=replace(STORED, redaction_patterns=patterns)).body(
        "everything"
    )
    assert body["redaction_patterns"] == [pattern, "other"]


def test_what_is_stored_as_lines_is_read_as_the_same() -> None:
    stored = replace(
        STORED, resource_attributes=ATTRIBUTES, redaction_patterns=("a", "b"), sampler="traceidratio"
    )
    body = destination_form(Everything, stored=stored).body("everything")
    assert body["resource_attributes"] == ATTRIBUTES
    assert (body["redaction_patterns"], body["sampler"]) == (["a", "b"], "traceidratio")


def test_a_switch_says_on_after_its_hidden_off() -> None:
    form = posted(("enabled", "off"), ("config-verbose", "off"), ("config-verbose", "on"))
    assert form.body("everything")["enabled"] is False
    assert form.body("everything")["config"]["verbose"] is True


def test_regions_are_ticked_and_none_is_refused() -> None:
    assert posted(("regions", ""), ("regions", "europe"), ("regions", "us")).body("everything")[
        "regions"
    ] == [
        "europe",
        "us",
    ]
    assert problem(posted(("regions", "")), "regions") == "Tick one region at least."


def test_a_post_that_does_not_mention_regions_keeps_them() -> None:
    stored = replace(STORED, regions=("us",))
    assert edited(stored=stored).body("everything")["regions"] == ["us"]
    assert destination_form(Everything, stored=stored).regions.data == ["us"]


def test_percent_is_a_rate_to_the_body() -> None:
    form = destination_form(Everything, data=MultiDict({**GOOD, "sampling_percent": "12.5"}))
    assert form.body("everything")["sampling_rate"] == 0.125


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("name", "", "Enter a name."),
        ("name", "x" * 101, "1 to 100 characters"),
        ("config-baseUrl", "", "Enter the Base URL."),
        ("config-baseUrl", "the gateway", "Enter a full address, such as https://otlp.example.com."),
        ("config-baseUrl", "https://me:pass@example.com", "Leave user name and password out"),
        ("config-instanceId", "12a", "an example: 123456"),
        ("config-apiKey", "", "Enter the API key."),
        ("config-apiKey", "schlüssel", "plain ASCII"),
        ("config-zone", "moon", "Choose one of us, eu."),
        ("privacy_level", "secret", "valid choice"),
        ("redaction_patterns", "(", "Pattern 1"),
        ("resource_attributes", "no value", "no value"),
        ("resource_attributes", "service.name=x", "service.name is set"),
        ("sampling_percent", "0", "0.01 to 100"),
        ("sampling_percent", "101", "0.01 to 100"),
        ("sampling_percent", "nan", "0.01 to 100"),
        ("sampling_percent", "", "0.01 to 100"),
    ],
)
def test_a_wrong_value_is_named_at_its_field(name: str, value: str, words: str) -> None:
    form = destination_form(Everything, data=MultiDict({**GOOD, name: value}))
    assert words in problem(form, name)
    assert set(form.errors) == {name}
    assert form.first_wrong() == name


def test_the_first_wrong_field_is_the_first_on_the_page() -> None:
    form = destination_form(
        Everything, data=MultiDict({**GOOD, "sampling_percent": "0", "config-apiKey": ""})
    )
    form.validate()
    assert form.first_wrong() == "config-apiKey"


def test_problems_of_the_api_find_their_fields() -> None:
    form = posted()
    homeless = form.place(
        {"config.baseUrl": "a.", "apiKey": "b.", "sampling_rate": "c.", "privacy_mode": "d.", "colour": "e."}
    )
    assert (form["config-baseUrl"].errors, form["config-apiKey"].errors) == (["a."], ["b."])
    assert (form.sampling_percent.errors, form.privacy_level.errors) == (["c."], ["d."])
    assert homeless == ["colour: e."]


# -- secrets -----------------------------------------------------------------------------------------


def test_a_stored_secret_is_not_needed_again_and_an_empty_one_stays() -> None:
    form = edited()
    assert form.validate(), form.errors
    assert "apiKey" not in form.body("everything")["config"]


def test_a_secret_never_returns_to_the_page() -> None:
    form = posted(
        ("config-headers", "rows"), ("config-headers-name", "X-Team"), ("config-headers-value", "s3")
    )
    assert form.holds_secrets()
    form.conceal()
    assert not form.holds_secrets()
    assert "a-secret" not in str(form["config-apiKey"]())
    assert [row.value for row in form.headers().rows] == [""]  # type: ignore[union-attr]


def test_after_a_passed_test_the_secrets_wait_elsewhere() -> None:
    values = {**GOOD, "config-apiKey": ""}
    assert not destination_form(Everything, data=MultiDict(values)).validate()
    assert destination_form(Everything, data=MultiDict(values), passed=True).validate()


# -- headers -----------------------------------------------------------------------------------------


def rows(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    named = [("config-headers-name", name) for name, _ in pairs]
    return [("config-headers", "rows"), *named, *(("config-headers-value", value) for _, value in pairs)]


def test_headers_are_rows_and_empty_ones_are_no_header() -> None:
    form = posted(*rows(("X-Team", "search"), ("", ""), ("X-Env", "prod")))
    assert form.validate(), form.errors
    assert form.body("everything")["config"]["headers"] == {"X-Team": "search", "X-Env": "prod"}


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("X-Team", "")], "Enter the value of X-Team."),
        ([("", "search")], "Enter the name of each header."),
        ([("X-Team", "a"), ("x-team", "b")], "given twice"),
        ([("Host", "a")], "The header Host is set by Broadcast"),
        ([("X Team", "a")], "letters, digits and hyphens"),
        ([("X-Team", "é")], "plain ASCII"),
    ],
)
def test_a_wrong_header_is_named(pairs: list[tuple[str, str]], words: str) -> None:
    assert words in problem(posted(*rows(*pairs)), "config-headers")


def test_stored_headers_are_shown_by_name_and_mask_alone() -> None:
    shown = destination_form(Everything, stored=STORED).headers()
    assert shown is not None
    assert [(row.name, row.value, row.mask) for row in shown.rows] == [("X-Team", "", "sear…chte")]


def test_an_empty_value_keeps_the_stored_one_of_that_name() -> None:
    form = edited(*rows(("x-team", ""), ("X-New", "v")))
    assert form.validate(), form.errors
    assert form.body("everything")["config"]["headers"] == {"x-team": "sear…chte", "X-New": "v"}


def test_removing_every_row_removes_the_headers() -> None:
    assert edited(("config-headers", "rows")).body("everything")["config"]["headers"] is None


def test_a_post_that_does_not_mention_headers_keeps_them() -> None:
    form = edited()
    assert form.body("everything")["config"]["headers"] == {"X-Team": "sear…chte"}


def test_a_press_adds_or_removes_a_row() -> None:
    form = posted(*rows(("A", "1"), ("B", "2")))
    form.change("add-header")
    form.change("remove-header-0")
    found = form.headers()
    assert found is not None
    assert [row.name for row in found.rows] == ["B", ""]


def test_the_header_names_tell_whether_a_test_was_about_these() -> None:
    found = posted(*rows(("A", "1"), ("", ""), ("B", "2"))).headers()
    assert found is not None
    assert found.names_of() == "A,B"


# -- what is stored ----------------------------------------------------------------------------------


def test_an_edit_starts_with_what_is_stored() -> None:
    form = destination_form(Everything, stored=STORED)
    assert (form.name.data, form.enabled.data, form.privacy_level.data) == ("Prod", False, "full")
    assert form.sampling_percent.data == 25
    assert form["config-baseUrl"].data == "https://otlp.example.com"
    assert form["config-verbose"].data is True
    assert form["broadcast_generation_cost"].data is True


def test_keys_are_offered_by_name_and_a_revoked_one_stays_chosen() -> None:
    key = ApiKey(
        id=1, workspace_id=1, user_id=1, kind="api", hash="b" * 64, verifier=b"", name="backend",
        label="sk-…41d0", scopes=("chat",), created_at_us=1, expires_at_us=None, last_used_at_us=None,
        revoked_at_us=None,
    )  # fmt: skip
    form = destination_form(Everything, stored=STORED, keys=[key])
    assert form.api_key_hashes.names == {"b" * 64: "backend sk-…41d0", "a" * 64: "a revoked key aaaaaaaa…"}
    assert form.body("everything")["api_key_hashes"] == ["a" * 64]


def test_filter_rules_go_through_the_form_unchanged() -> None:
    rules = {
        "enabled": False,
        "groups": [
            {"logic": "or", "rules": [
                {"field": "model", "operator": "starts_with", "value": "anthropic/"},
                {"field": "total_cost", "operator": "gte", "value": 0.00001},
                {"field": "session_id", "operator": "exists"},
            ]},
            {"logic": "and", "rules": [{"field": "total_tokens", "operator": "gt", "value": 100}]},
        ],
    }  # fmt: skip
    form = destination_form(Everything, stored=replace(STORED, filter_rules=rules))
    assert form.body("everything")["filter_rules"] == rules
    assert edited(stored=replace(STORED, filter_rules=rules)).body("everything")["filter_rules"] == rules


def test_a_wrong_rule_makes_the_form_wrong() -> None:
    form = posted(
        ("rules", "rows"), ("rule-0-0-field", "total_cost"), ("rule-0-0-operator", "gt"),
        ("rule-0-0-value", "much"),
    )  # fmt: skip
    assert "filter rules" in problem(form, "filter_rules")
    assert form.filter_rules.data.groups[0].rules[0].problem == "Enter a number."


@pytest.mark.parametrize("kind", TYPES)
def test_a_choice_is_in_words_or_a_name_of_the_vendors_own(kind: str) -> None:
    """A name of theirs has a digit, a dot or capitals, as `us-east-1`, an address or `POST`."""
    for spec in TYPES[kind].specs():
        for choice in spec.choices:
            theirs = choice == "gzip" or choice.isupper() or not choice.isalpha()
            assert theirs or in_words(choice) != choice, choice
