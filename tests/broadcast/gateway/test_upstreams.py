import textwrap
from decimal import Decimal
from pathlib import Path

import pytest

from broadcast.errors import ConfigError
from broadcast.gateway import load_upstreams, upstreams
from broadcast.gateway.upstreams import HttpUpstream

GOOD = """
providers:
  acme: {base_url: "https://${HOST}/v1/", api_key: "${KEY}", headers: {X-Team: "a ${TEAM}"}}
models:
  acme/one: {providers: [{provider: acme, model: one, usd_per_million: {input: 0.1, output: 2}}]}
"""
VARIABLES = {"HOST": "api.acme.test", "KEY": "sk-secret", "TEAM": "b"}


def load(tmp_path: Path, text: str, *, with_demo: bool = False) -> upstreams.Upstreams:
    file = tmp_path / "upstreams.yaml"
    file.write_text(text)
    return load_upstreams(file, VARIABLES, with_demo=with_demo)


def test_variables_are_filled_in_from_what_config_gives(tmp_path: Path) -> None:
    model = load(tmp_path, GOOD).models["acme/one"]
    [route] = model.routes
    assert isinstance(route.upstream, HttpUpstream)
    assert route.upstream.base_url == "https://api.acme.test/v1"
    assert route.upstream.headers == {"X-Team": "a b", "Authorization": "Bearer sk-secret"}
    assert (route.model, model.system, model.name) == ("one", "acme", "acme/one")


def test_prices_are_exact(tmp_path: Path) -> None:
    prices = load(tmp_path, GOOD).models["acme/one"].routes[0].prices
    assert prices is not None
    assert (prices.input, prices.output) == (Decimal("0.1"), Decimal(2))


def test_a_key_is_never_printed(tmp_path: Path) -> None:
    assert "sk-secret" not in repr(load(tmp_path, GOOD))


def test_the_file_of_the_documentation_loads(tmp_path: Path) -> None:
    _, _, example = (upstreams.__doc__ or "").partition("\n\n")
    file = tmp_path / "upstreams.yaml"
    file.write_text(textwrap.dedent(example))
    models = load_upstreams(file, {"OPENAI_API_KEY": "sk-x"}, with_demo=False).models
    assert list(models) == ["openai/gpt-4o-mini"]


def test_the_demo_is_there_when_on_or_when_there_is_no_file(tmp_path: Path) -> None:
    built_in = ["demo/echo", "demo/flaky", "demo/fail", "demo/slow"]
    assert list(load_upstreams(None, {}, with_demo=False).models) == built_in
    assert list(load(tmp_path, GOOD, with_demo=True).models) == [*built_in, "acme/one"]
    assert list(load(tmp_path, GOOD).models) == ["acme/one"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("providers: [", "not valid YAML in line"),
        ("", "Expected `object`"),
        (GOOD + "  extra: 1", "models"),
        (GOOD.replace("usd_per_million", "price"), "unknown field `price`"),
        (GOOD.replace("0.1", "-1"), ">= 0"),
        (GOOD.replace("${KEY}", "${MISSING}"), "providers.acme.api_key needs the variable MISSING"),
        (GOOD.replace("provider: acme", "provider: other"), "names other, which is not under `providers`"),
        (GOOD.replace("https://", "ftp://"), "providers.acme.base_url must be like"),
        (GOOD.replace("a ${TEAM}", "é"), "X-Team is not a header that can be sent"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(tmp_path: Path, wrong: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"BROADCAST_UPSTREAMS") as refused:
        load(tmp_path, wrong)
    assert told in str(refused.value)
    assert "sk-secret" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_upstreams(tmp_path / "none.yaml", {}, with_demo=False)
