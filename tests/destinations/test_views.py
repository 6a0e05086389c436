"""Ready-made views: every attribute that one uses is one that we send, with the type that its query needs."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import destinations
from broadcast import genai, genai_names, views
from broadcast.destination import Destination
from broadcast.errors import NotFound, SettingsError
from broadcast.receipt import Error, Receipt
from broadcast.span import ResourceSpans
from destinations import TYPES
from tests import factories
from tests.destinations import wire
from tests.destinations.traceql import Use, uses
from tests.receiver import Receiver

NAMESPACE = "our_router"
RECEIPTS = (
    factories.full_receipt(),
    factories.receipt(status="error", error=Error(type="overloaded", message="Try later.")),
)
WITH_VIEWS = [(slug, view.file) for slug, kind in TYPES.items() for view in kind.views]
GRAFANA = [(slug, file) for slug, file in WITH_VIEWS if file.startswith("grafana-")]
# What Honeycomb makes of an OTLP span beside its attributes (https://github.com/honeycombio/husky).
OF_HONEYCOMB = {"duration_ms": {"float"}, "error": {"bool"}, "name": {"string"}}
NUMBERS = {"SUM", "AVG", "MIN", "MAX", "P50", "P95", "P99"}


def config_of(slug: str) -> dict[str, Any]:
    return {spec.outside: spec.example for spec in TYPES[slug].specs() if spec.required}


def text_of(slug: str, file: str, *, namespace: str = NAMESPACE, source: str = "", **config: str) -> str:
    settings = config_of(slug) | config
    return views.filled(TYPES[slug], settings, file, namespace=namespace, source=source)


def type_of(value: Any) -> str:
    return {bool: "bool", int: "int", float: "float", str: "string"}.get(type(value), "array")


def spans_of(destination: Destination, receipt: Receipt) -> ResourceSpans:
    options = wire.options_of(destination, receipt)
    return genai.whole_spans(receipt, namespace=NAMESPACE, options=options)


def sent(slug: str) -> dict[tuple[str, str], set[str]]:
    """Return every attribute that a destination of this type gets, with its types."""
    found: dict[tuple[str, str], set[str]] = {}
    destination = TYPES[slug].parse(config_of(slug))
    for receipt in RECEIPTS:
        made = spans_of(destination, receipt)
        for scope, attributes in (
            ("resource", made.resource),
            *(("span", one.attributes) for one in made.spans),
        ):
            for name, value in attributes.items():
                found.setdefault((scope, name), set()).add(type_of(value))
    return found


def queries_of(text: str) -> Iterator[str]:
    """Yield each TraceQL query of a dashboard or of alert rules, its variables filled in as Grafana does."""
    document = json.loads(text)
    targets = [target for panel in document.get("panels", ()) for target in panel.get("targets", ())]
    rules = [item["model"] for rule in document.get("rules", ()) for item in rule["data"]]
    values = {
        "${model:pipe}": "openai/gpt-4o|.*",
        "$filter": 'span.user.id = "user-7"',
        "$metadata": "feature",
    }
    for query in (target["query"] for target in (*targets, *rules) if "query" in target):
        for variable, value in values.items():
            query = query.replace(variable, value)  # noqa: PLW2901 - variable after variable
        assert "$" not in query
        yield query


@pytest.mark.parametrize(("slug", "file"), GRAFANA)
def test_every_attribute_of_a_query_is_one_that_we_send(slug: str, file: str) -> None:
    known = sent(slug)
    for query in queries_of(text_of(slug, file)):
        for use in uses(query):
            assert known.get((use.scope, use.name)), (query, use)
            assert known[use.scope, use.name] <= use.types, (query, use)


@pytest.mark.parametrize(("slug", "file"), GRAFANA)
def test_every_query_counts_a_request_once(slug: str, file: str) -> None:
    destination = TYPES[slug].parse(config_of(slug))
    for query in queries_of(text_of(slug, file)):
        if 'name =~ "provider attempt' in query:
            continue
        model = Use("span", genai_names.REQUEST_MODEL, frozenset({"string"}))
        assert model in uses(query), query
    for receipt in RECEIPTS:
        spans = spans_of(destination, receipt).spans
        assert sum(genai_names.REQUEST_MODEL in span.attributes for span in spans) == 1


def test_the_tries_of_a_request_are_found_by_their_name() -> None:
    (query,) = [one for one in queries_of(text_of("grafana", "grafana-dashboard.json")) if "name =~" in one]
    pattern = re.search(r'name =~ "([^"]+)"', query)
    assert pattern
    spans = spans_of(TYPES["grafana"].parse(config_of("grafana")), factories.full_receipt()).spans
    matching = [span for span in spans if re.fullmatch(pattern[1], span.name)]
    assert len(matching) == 2
    assert all(f"{NAMESPACE}.provider_name" in span.attributes for span in matching)


def test_every_file_is_a_view_of_a_type() -> None:
    files = {path.name for path in Path(destinations.__file__).parent.joinpath("dashboards").iterdir()}
    assert files == {file for _, file in WITH_VIEWS}


@pytest.mark.parametrize(("slug", "file"), WITH_VIEWS)
def test_no_mark_is_left_and_no_other_name_than_the_services_own(slug: str, file: str) -> None:
    text = text_of(slug, file)
    assert "__" not in text.replace("__inputs", "").replace("__requires", "").replace("__expr__", "").replace(
        "$__all", ""
    )
    assert NAMESPACE in text
    assert "openrouter" not in text


# -- Grafana ---------------------------------------------------------------------------------------


def sources_of(node: Any) -> set[str]:
    """Return the data sources that a document reads, wherever it names one."""
    if isinstance(node, list):
        return {source for item in node for source in sources_of(item)}
    if not isinstance(node, dict):
        return set()
    own = {node["uid"]} if node.get("type") == "tempo" and "uid" in node else set()
    own |= {node["datasourceUid"]} - {"__expr__"} if "datasourceUid" in node else set()
    return own.union(*map(sources_of, node.values()))


@pytest.mark.parametrize("slug", ["grafana", "otel-collector"])
def test_an_import_asks_for_the_data_source_unless_it_is_named(slug: str) -> None:
    asking = json.loads(text_of(slug, "grafana-dashboard.json"))
    (asked,) = asking["__inputs"]
    assert (asked["type"], asked["pluginId"]) == ("datasource", "tempo")
    assert sources_of(asking) == {f"${{{asked['name']}}}"}
    named = json.loads(text_of(slug, "grafana-dashboard.json", source="my-tempo"))
    assert "__inputs" not in named
    assert sources_of(named) == {"my-tempo"}


def test_alert_rules_read_grafana_clouds_traces_unless_another_source_is_named() -> None:
    assert sources_of(json.loads(text_of("grafana", "grafana-alerts.json"))) == {"grafanacloud-traces"}
    named = text_of("grafana", "grafana-alerts.json", source="my-tempo")
    assert sources_of(json.loads(named)) == {"my-tempo"}


@pytest.mark.parametrize("source", ['a"b', "a b", "x" * 41, "ä", "../x"])
def test_a_source_that_is_no_uid_is_refused(source: str) -> None:
    with pytest.raises(SettingsError) as caught:
        text_of("grafana", "grafana-dashboard.json", source=source)
    assert caught.value.problems.keys() == {"source"}


@pytest.mark.parametrize("file", ["", "other.json", "../grafana.py", "honeycomb-board.sh"])
def test_a_type_has_only_the_views_that_it_declares(file: str) -> None:
    with pytest.raises(NotFound):
        text_of("grafana", file)


def test_the_dashboard_shows_what_a_team_asks_first() -> None:
    panels = json.loads(text_of("grafana", "grafana-dashboard.json"))["panels"]
    titles = {panel["title"] for panel in panels}
    split = {"model", "user", "key", "$metadata"}
    assert {f"Spend by {word}" for word in split} <= titles
    assert {f"Tokens by {word}" for word in split - {"model"}} <= titles
    assert {"Input tokens by model", "Output tokens by model", "Requests by model"} <= titles
    quantiles = [title for title in titles if "p50, p95, p99 by model" in title]
    assert len(quantiles) == 2
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_no_two_panels_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(text_of("grafana", "grafana-dashboard.json"))["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


def test_variables_are_the_ones_that_queries_use() -> None:
    text = text_of("grafana", "grafana-dashboard.json")
    names = {item["name"] for item in json.loads(text)["templating"]["list"]}
    assert names == set(re.findall(r"\$\{?(?!DS_|__)([a-z]+)", text))
    (model, metadata, _) = json.loads(text)["templating"]["list"]
    known = {name for scope, name in sent("grafana") if scope == "span"}
    assert model["query"]["label"] in known
    pattern = re.compile(metadata["regex"].strip("/"))
    assert {found[1] for name in known if (found := pattern.match(name))} >= {"feature"}


def test_each_rule_is_a_chain_from_queries_to_its_condition() -> None:
    group = json.loads(text_of("grafana", "grafana-alerts.json"))
    assert len(group["rules"]) == 3
    for rule in group["rules"]:
        assert (rule["folderUID"], rule["ruleGroup"]) == (group["folderUid"], group["title"])
        steps = {item["refId"]: item for item in rule["data"]}
        assert list(steps) == sorted(steps)
        condition = steps[rule["condition"]]["model"]
        assert condition["type"] == "threshold"
        used = {condition["expression"]}
        for step in steps.values():
            used |= set(re.findall(r"\b[A-Z]\b", step["model"].get("expression", "")))
        assert used | {rule["condition"]} == set(steps)
        assert all(f"$values.{ref}" not in rule["annotations"]["summary"] for ref in "AF")


# -- Honeycomb -------------------------------------------------------------------------------------


def board(
    *answers: tuple[int, str], **environment: str
) -> tuple[list[Any], "subprocess.CompletedProcess[str]"]:
    """Run the script against a scripted Honeycomb; return what it was asked, and how the script ended."""
    script = text_of("honeycomb", "honeycomb-board.sh")
    with Receiver() as honeycomb:
        for number, path in enumerate(
            (f"/1/queries/{NAMESPACE}", f"/1/query_annotations/{NAMESPACE}", "/1/boards")
        ):
            status, body = (
                answers[number] if number < len(answers) else (201, '{"name":"x", "id": "made-%d"}')
            )
            honeycomb.answer(path, status=status, body=body.replace("%d", str(number)))
        ran = subprocess.run(
            ["sh", "-s"],
            input=script,
            env={"PATH": os.environ["PATH"], "HONEYCOMB_API": honeycomb.url(""), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return list(honeycomb.requests), ran


def test_the_board_is_made_of_queries_that_honeycomb_can_answer() -> None:
    asked, ran = board(HONEYCOMB_API_KEY="configuration-key")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "made-2" in ran.stdout
    assert {seen.headers["x-honeycomb-team"] for seen in asked} == {"configuration-key"}
    known = {name: types for (scope, name), types in sent("honeycomb").items() if scope == "span"}
    known |= OF_HONEYCOMB
    queries = [seen.json() for seen in asked if seen.path.startswith("/1/queries/")]
    assert len(queries) == 10
    for query in queries:
        calculated = {(item["op"], item.get("column")) for item in query["calculations"]}
        for op, column in calculated:
            assert column is None or known[column] <= ({"int", "float"} if op in NUMBERS else set())
        for item in query["filters"]:
            assert item["op"] == "exists" or type_of(item["value"]) in known[item["column"]]
            assert item["column"] in known
        assert all(known[column] <= {"string"} for column in query["breakdowns"])
        assert all((item["op"], item.get("column")) in calculated for item in query["orders"])
    counted = [query for query in queries if query["filters"][-1]["column"] != genai_names.ERROR_TYPE]
    once = {"column": genai_names.OPERATION_NAME, "op": "exists"}
    assert [query for query in counted if once not in query["filters"]] == []


def test_each_panel_is_a_saved_query_under_its_own_name() -> None:
    asked, _ = board(HONEYCOMB_API_KEY="configuration-key")
    made = asked[-1].json()
    names = [seen.json() for seen in asked if seen.path.startswith("/1/query_annotations/")]
    assert (asked[-1].path, made["type"], made["layout_generation"]) == ("/1/boards", "flexible", "auto")
    assert len({item["name"] for item in names}) == len(names) == len(made["panels"])
    assert all(item["query_id"] == "made-0" for item in names)
    for panel in made["panels"]:
        assert panel["type"] == "query"
        # Honeycomb refuses `dataset` here, though it answers with one.
        assert panel["query_panel"].keys() == {"query_id", "query_annotation_id", "query_style"}
        assert (panel["query_panel"]["query_id"], panel["query_panel"]["query_annotation_id"]) == (
            "made-0",
            "made-1",
        )


def test_a_refusal_stops_the_script_and_is_shown() -> None:
    asked, ran = board((401, '{"error":"unknown API key"}'), HONEYCOMB_API_KEY="wrong-key")
    assert ran.returncode != 0
    assert "unknown API key" in ran.stderr
    assert "wrong-key" not in ran.stdout + ran.stderr
    assert len(asked) == 1


def test_without_a_key_nothing_is_asked() -> None:
    asked, ran = board()
    assert (ran.returncode != 0, asked) == (True, [])
    assert "HONEYCOMB_API_KEY" in ran.stderr


def test_region_and_dataset_are_the_destinations_own() -> None:
    text = text_of("honeycomb", "honeycomb-board.sh", region="eu", dataset="a set; rm")
    assert "https://api.eu1.honeycomb.io}" in text
    assert "${HONEYCOMB_DATASET:-a%20set%3B%20rm}" in text
