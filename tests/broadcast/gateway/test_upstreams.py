import dataclasses
import textwrap
from decimal import Decimal
from pathlib import Path

import pytest

from broadcast.errors import ConfigError
from broadcast.gateway import load_upstreams, upstream_file
from broadcast.gateway.failures import FAILURES, FALLBACK_ON
from broadcast.gateway.prices import Prices
from broadcast.gateway.upstream_form import PricesForm
from broadcast.gateway.upstreams import HttpUpstream, Upstreams
from broadcast.outbound import Timeouts

GOOD = """
providers:
  acme: {base_url: "https://${HOST}/v1/", api_key: "${KEY}", headers: {X-Team: "a ${TEAM}"}}
models:
  acme/one: {providers: [{provider: acme, model: one, usd_per_million: {input: 0.1, output: 2}}]}
"""
VARIABLES = {"HOST": "api.acme.test", "KEY": "sk-secret", "TEAM": "b"}


def load(tmp_path: Path, text: str, *, with_demo: bool = False) -> Upstreams:
    file = tmp_path / "upstreams.yaml"
    file.write_text(text)
    return load_upstreams(file, VARIABLES, with_demo=with_demo)


def provider(tmp_path: Path, settings: str) -> HttpUpstream:
    """Return the provider of a file whose provider has these settings beside its address."""
    text = GOOD.replace('api_key: "${KEY}", headers: {X-Team: "a ${TEAM}"}', settings)
    upstream = load(tmp_path, text).models["acme/one"].routes[0].upstream
    assert isinstance(upstream, HttpUpstream)
    return upstream


def test_variables_are_filled_in_from_what_config_gives(tmp_path: Path) -> None:
    model = load(tmp_path, GOOD).models["acme/one"]
    [route] = model.routes
    assert isinstance(route.upstream, HttpUpstream)
    assert route.upstream.base_url == "https://api.acme.test/v1"
    assert route.upstream.headers == {"X-Team": "a b", "Authorization": "Bearer sk-secret"}
    assert (route.model, model.system, model.name) == ("one", "acme", "acme/one")


def test_a_key_is_never_printed(tmp_path: Path) -> None:
    assert "sk-secret" not in repr(load(tmp_path, GOOD))


def test_the_file_of_the_documentation_loads(tmp_path: Path) -> None:
    _, _, example = (upstream_file.__doc__ or "").partition("\n\n")
    file = tmp_path / "upstreams.yaml"
    file.write_text(textwrap.dedent(example))
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"), "sk-x")
    models = load_upstreams(file, keys, with_demo=False).models
    assert list(models) == ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4"]


def test_the_defaults_of_the_documentation_are_the_defaults(tmp_path: Path) -> None:
    told = upstream_file.__doc__ or ""
    timeouts = provider(tmp_path, "ask_usage: true").timeouts
    for name, value in (
        ("connect_timeout_s", timeouts.connect_s),
        ("headers_timeout_s", timeouts.headers_s),
        ("read_timeout_s", timeouts.silence_s),
        ("total_timeout_s", timeouts.whole_s),
    ):
        assert f"{name}: {value:g} " in told
    assert f"fallback_on: [{', '.join(word for word in FAILURES if word in FALLBACK_ON)}]\nmodels:" in told


def test_the_demo_is_there_when_on_or_when_there_is_no_file(tmp_path: Path) -> None:
    built_in = ["demo/echo", "demo/flaky", "demo/fail", "demo/slow"]
    assert list(load_upstreams(None, {}, with_demo=False).models) == built_in
    assert list(load(tmp_path, GOOD, with_demo=True).models) == [*built_in, "acme/one"]
    assert list(load(tmp_path, GOOD).models) == ["acme/one"]


@pytest.mark.parametrize(
    ("settings", "apis", "headers", "is_router"),
    [
        ("api_key: k", {"chat", "responses", "embeddings"}, {"Authorization": "Bearer k"}, False),
        (
            "style: anthropic, api_key: k",
            {"messages"},
            {"x-api-key": "k", "anthropic-version": "2023-06-01"},
            False,
        ),
        (
            "style: anthropic, headers: {Anthropic-Version: 2024-01-01x}",
            {"messages"},
            {"Anthropic-Version": "2024-01-01x"},
            False,
        ),
        (
            "style: openrouter, api_key: k",
            {"chat", "messages", "responses", "embeddings"},
            {"Authorization": "Bearer k"},
            True,
        ),
        ("apis: [chat, messages]", {"chat", "messages"}, {}, False),
    ],
)
def test_a_style_says_what_a_provider_speaks_and_how_it_is_asked(
    tmp_path: Path, settings: str, apis: set[str], headers: dict[str, str], is_router: bool
) -> None:
    found = provider(tmp_path, settings)
    assert set(found.apis) == apis
    assert (found.headers, found.is_router) == (headers, is_router)


def test_every_timeout_can_be_set(tmp_path: Path) -> None:
    settings = "connect_timeout_s: 1, headers_timeout_s: 2, read_timeout_s: 3, total_timeout_s: 4"
    assert provider(tmp_path, settings).timeouts == Timeouts(connect_s=1, headers_s=2, silence_s=3, whole_s=4)


def test_the_beginning_of_an_answer_may_take_as_long_as_a_silence(tmp_path: Path) -> None:
    assert provider(tmp_path, "read_timeout_s: 7").timeouts.headers_s == 7


def test_every_price_is_exact(tmp_path: Path) -> None:
    kinds = {
        field: Decimal(f"0.{place}1") for place, field in enumerate(PricesForm.__struct_fields__, start=1)
    }
    told = ", ".join(f"{name}: {price}" for name, price in kinds.items())
    text = GOOD.replace("{input: 0.1, output: 2}", f"{{{told}}}, usd_per_request: 0.003")
    prices = load(tmp_path, text).models["acme/one"].routes[0].prices
    assert prices is not None
    assert dataclasses.asdict(prices) == {**kinds, "request_usd": Decimal("0.003")}


def test_a_price_for_a_request_alone_makes_its_tokens_free(tmp_path: Path) -> None:
    text = GOOD.replace("usd_per_million: {input: 0.1, output: 2}", "usd_per_request: 0.01")
    prices = load(tmp_path, text).models["acme/one"].routes[0].prices
    assert prices is not None
    assert prices == Prices(input=Decimal(0), output=Decimal(0), request_usd=Decimal("0.01"))


def test_profile_and_fallbacks_of_a_model_win_over_those_of_the_file(tmp_path: Path) -> None:
    text = (
        GOOD
        + "  acme/two: {profile: latency, fallback_on: [rate_limit], providers: [{provider: acme}]}\n"
        + "profile: cost\nfallback_on: [timeout, connect]\n"
    )
    models = load(tmp_path, text).models
    one, two = models["acme/one"], models["acme/two"]
    assert (one.profile, sorted(one.fallback_on)) == ("cost", ["connect", "timeout"])
    assert (two.profile, sorted(two.fallback_on)) == ("latency", ["rate_limit"])


def test_without_a_word_the_declared_order_and_everything_a_client_cannot_mend(tmp_path: Path) -> None:
    model = load(tmp_path, GOOD).models["acme/one"]
    assert model.profile is None
    assert model.fallback_on == set(FAILURES) - {"context_length", "bad_request"}


@pytest.mark.parametrize(
    ("name", "profile"),
    [("acme/one", None), ("acme/one:floor", "cost"), ("acme/one:nitro", "throughput")],
)
def test_a_suffix_of_the_name_chooses_a_profile(tmp_path: Path, name: str, profile: str | None) -> None:
    model = load(tmp_path, GOOD).find(name)
    assert model is not None
    assert (model.id, model.profile) == ("acme/one", profile)


@pytest.mark.parametrize("name", ["acme/one:free", "acme/one:", ":nitro", "acme/none:nitro"])
def test_any_other_suffix_is_part_of_the_name(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, GOOD).find(name) is None


def test_a_model_declared_with_a_suffix_is_itself(tmp_path: Path) -> None:
    text = GOOD.replace("acme/one:", '"acme/one:nitro":')
    model = load(tmp_path, text).find("acme/one:nitro")
    assert model is not None
    assert (model.id, model.profile) == ("acme/one:nitro", None)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (GOOD, "providers: [", "not valid YAML in line"),
        (GOOD, "", "Expected `object`"),
        ("models:", "models:\n  extra: 1", "models.extra: Expected `object`, got `int`"),
        ("models:", "profile: cheap\nmodels:", "profile is 'cheap'. Use one of balanced,"),
        ("models:", "fallback_on: 429\nmodels:", "fallback_on: Expected `array | null`, got `int`"),
        ("models:", "fallbacks: []\nmodels:", "unknown field `fallbacks`"),
        ("https://", "ftp://", "providers.acme.base_url must be like"),
        ("${KEY}", "${MISSING}", "providers.acme.api_key needs the variable MISSING. Set it."),
        ("a ${TEAM}", "é", "providers.acme: X-Team is not a header that can be sent"),
        (
            "api_key:",
            "style: azure, api_key:",
            "providers.acme.style is 'azure'. Use one of openai, anthropic",
        ),
        (
            "api_key:",
            "apis: [chat, images], api_key:",
            "providers.acme.apis[1] is 'images'. Use one of chat,",
        ),
        ("api_key:", "apis: [], api_key:", "providers.acme.apis is empty. Name one of"),
        ("api_key:", "read_timeout_s: 0, api_key:", "providers.acme.read_timeout_s: Expected `float` > 0"),
        (
            "{providers:",
            "{profile: fast, providers:",
            "models.acme/one.profile is 'fast'. Use one of balanced",
        ),
        ("{providers:", "{fallback_on: [5xx], providers:", "models.acme/one.fallback_on[0] is '5xx'."),
        ("provider: acme", "provider: other", "acme/one.providers[0] names other, which is not under"),
        ("usd_per_million", "price", "acme/one.providers[0]: Object contains unknown field `price`"),
        ("0.1", "-1", "acme/one.providers[0].usd_per_million.input: Expected `float` >= 0"),
    ],
)
def test_a_wrong_file_is_named_with_its_place_and_its_fault(
    tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=r"BROADCAST_UPSTREAMS") as refused:
        load(tmp_path, GOOD.replace(right, wrong))
    assert told in str(refused.value)
    assert "sk-secret" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_upstreams(tmp_path / "none.yaml", {}, with_demo=False)
