"""Every recipe of the page, as variables and as a file, over HTTP and gRPC, sent to a real receiver."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import pytest

from broadcast import operator_declaration
from broadcast.egress import Policy
from broadcast.operator_declaration import Declaration
from broadcast.operator_export import OperatorExports
from broadcast.store import Store
from destinations import TYPES
from tests.broadcast.sending import POLICY, World, clock
from tests.grpc_receiver import GrpcReceiver
from tests.receiver import Receiver
from tests.world.documents import block

PAGE = "operator-export.md"
SECRETS = {
    "HONEYCOMB_API_KEY": "hcaik_example",
    "GRAFANA_OTLP_TOKEN": "MTIzOmdsY19leGFtcGxl",
    "GRAFANA_TEMPO_TOKEN": "NDU2OmdsY19leGFtcGxl",
    "OTLP_TOKEN": "t0ken",
}
NAMED = {"service.name": "llm-router"}
STAGED = {**NAMED, "deployment.environment.name": "production"}
RECIPES: Mapping[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "OpenTelemetry Collector": ("http://collector.internal:4318/v1/traces", {}, STAGED),
    "Honeycomb": ("https://api.honeycomb.io/v1/traces", {"x-honeycomb-team": "hcaik_example"}, NAMED),
    "Grafana Cloud": (
        "https://otlp-gateway-prod-us-west-0.grafana.net/otlp/v1/traces",
        {"authorization": "Basic MTIzOmdsY19leGFtcGxl"},
        {},
    ),
    "Tempo": ("http://tempo.internal:4318/v1/traces", {"x-scope-orgid": "llm"}, {}),
    "Datadog Agent": ("http://datadog-agent.internal:4318/v1/traces", {}, STAGED),
}
OVER_GRPC: Mapping[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "OpenTelemetry Collector over gRPC": ("http://collector.internal:4317", {}, NAMED),
    "Honeycomb over gRPC": ("https://api.honeycomb.io:443", {"x-honeycomb-team": "hcaik_example"}, NAMED),
    "Grafana Cloud over gRPC": (
        "https://tempo-prod-04-prod-us-east-0.grafana.net:443",
        {"authorization": "Basic NDU2OmdsY19leGFtcGxl"},
        {},
    ),
    "Tempo over gRPC": ("http://tempo.internal:4317", {"x-scope-orgid": "llm"}, {}),
    "Datadog Agent over gRPC": ("http://datadog-agent.internal:4317", {}, NAMED),
}


@pytest.fixture
def world(sqlite_store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(sqlite_store, receiver, tmp_path)


def exported(code: str) -> dict[str, str]:
    """Return what a block of `export` lines sets."""
    lines = [shlex.split(line)[1] for line in code.splitlines()]
    return {
        name: Template(value).substitute(SECRETS)
        for name, _, value in (line.partition("=") for line in lines)
    }


def as_said(recipe: str, form: str, folder: Path) -> Declaration:
    code = block(PAGE, recipe, form)
    path = folder / "otel.yaml"
    path.write_text(code)
    is_file = form == "yaml"
    found = operator_declaration.read(SECRETS if is_file else exported(code), path if is_file else None)
    assert found is not None
    return found


@pytest.mark.parametrize("form", ["sh", "yaml"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_sends_to_its_address_with_its_headers(
    recipe: str, form: str, world: World, tmp_path: Path
) -> None:
    url, headers, resource = RECIPES[recipe]
    declared = as_said(recipe, form, tmp_path)
    assert (declared.endpoint, declared.resource_attributes) == (url, resource)
    send(world, declared, world.receiver.url(""))
    (seen,) = world.receiver.requests
    assert seen.path == urlsplit(url).path
    assert headers.items() <= {name.lower(): value for name, value in seen.headers.items()}.items()
    assert seen.headers["content-type"] == "application/x-protobuf"
    assert len(world.receiver.spans()) == 2


@pytest.mark.parametrize("form", ["sh", "yaml"])
@pytest.mark.parametrize("recipe", OVER_GRPC)
def test_a_recipe_over_grpc_calls_its_server_with_its_headers(
    recipe: str, form: str, world: World, tmp_path: Path
) -> None:
    url, headers, resource = OVER_GRPC[recipe]
    declared = as_said(recipe, form, tmp_path)
    assert (declared.endpoint, declared.resource_attributes) == (url, resource)
    assert declared.encoding == "grpc"
    with GrpcReceiver() as receiver:
        send(world, declared, receiver.url)
        (seen,) = receiver.seen
        assert headers.items() <= seen.metadata.items()
        assert len(receiver.spans()) == 2
    assert world.receiver.requests == []


def test_every_recipe_is_there_over_grpc_too() -> None:
    assert [recipe.removesuffix(" over gRPC") for recipe in OVER_GRPC] == list(RECIPES)


def send(world: World, declared: Declaration, to: str) -> None:
    """Send a request as declared, with a receiver of ours in the place of the vendor's host."""
    parts = urlsplit(declared.endpoint)
    here = declared.endpoint.replace(f"{parts.scheme}://{parts.netloc}", to, 1)
    moved = Declaration(**{**vars(declared), "endpoint": here})
    OperatorExports(world.store, world.vault, TYPES, POLICY).bring_up_to_date(
        moved, clock, breathe=lambda: None
    )
    world.append(1)
    world.deliver()


@pytest.mark.parametrize("recipe", [*RECIPES, *OVER_GRPC])
def test_a_recipe_permits_the_address_that_it_names(recipe: str) -> None:
    permits = exported(block(PAGE, recipe, "sh")).get("BROADCAST_EGRESS_ALLOW", "")
    url = {**RECIPES, **OVER_GRPC}[recipe][0]
    assert Policy.parse(permits.split(",")).check_url(url).host == urlsplit(url).hostname


def test_the_example_of_the_file_is_what_is_read_without_most_of_it(tmp_path: Path) -> None:
    path = tmp_path / "otel.yaml"
    path.write_text(block(PAGE, "The file", "yaml"))
    found = operator_declaration.read(SECRETS, path)
    assert found is not None
    assert found.headers == {"X-Scope-OrgID": "llm", "Authorization": "Bearer t0ken"}
    assert (found.sampler, found.sampler_arg, found.content) == ("parentbased_traceidratio", 0.25, False)
    assert (found.max_spans, found.every_ms) == (512, 0)
