from typing import Any

import pytest

from broadcast.destination import Verdict
from broadcast.errors import SettingsError
from destinations.elastic import Elastic
from tests.destinations import wire

ENDPOINT = "https://acme.ingest.us-east-1.aws.elastic.cloud:443"


def elastic(**config: Any) -> Elastic:
    return Elastic.parse({"endpoint": ENDPOINT, "apiKey": "aWQ6a2V5", **config})


def test_the_managed_endpoint_gets_protobuf_which_an_apm_server_reads_too() -> None:
    found = wire.send(elastic())
    assert found.url == f"{ENDPOINT}/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["authorization"] == "ApiKey aWQ6a2V5"
    assert found.outcome.delivered


@pytest.mark.parametrize(
    ("setting", "pasted", "words"),
    [
        ("endpoint", "https://acme.kb.us-east-1.aws.elastic.cloud/app/home", "Kibana"),
        ("endpoint", "https://acme.es.us-east-1.aws.elastic.cloud:443", "Elasticsearch"),
        ("apiKey", '{"id":"a","encoded":"aWQ6a2V5"}', "encoded"),
        ("apiKey", "VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw", "encoded"),
    ],
)
def test_the_neighbours_are_refused_by_name(setting: str, pasted: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        elastic(**{setting: pasted})
    assert words in caught.value.problems[setting]


def test_a_key_without_privileges_is_a_refusal() -> None:
    found = wire.send(elastic(), status=403, body={"code": 7, "message": "forbidden"})
    assert found.outcome.verdict is Verdict.REFUSED


def test_a_trace_has_a_page_where_kibana_is_known() -> None:
    kibana = "https://acme.kb.us-east-1.aws.elastic.cloud"
    link = elastic(kibanaUrl=f"{kibana}/app/home").trace_url("ab", 0)
    assert link == f"{kibana}/app/apm/link-to/trace/ab"
    assert elastic().trace_url("ab", 0) is None
