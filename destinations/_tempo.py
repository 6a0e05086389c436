"""Ready-made views of spans in Tempo, for Grafana.

Sources: https://grafana.com/docs/tempo/latest/metrics-from-traces/metrics-queries/functions/ (functions and
their versions), https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/ (the body
of a rule group) and https://grafana.com/docs/grafana/latest/datasources/tempo/ (alerts on TraceQL are
experimental, behind `tempoAlerting`), read 2026-11-21.
"""

import json
from typing import Final

from broadcast.destination import View

UID: Final = "grafanacloud-traces"
"""The traces' data source in every stack of Grafana Cloud."""

_MARK: Final = "${DS_TEMPO}"

VIEWS: Final = (
    View(
        file="grafana-dashboard.json",
        title="Grafana dashboard",
        use="Dashboards > New > Import takes the file; without a UID here it asks for the data source. "
        "It needs Tempo 2.8 or later.",
        source=UID,
    ),
    View(
        file="grafana-alerts.json",
        title="Grafana alert rules",
        use="Send it with PUT to /api/v1/provisioning/folder/broadcast/rule-groups/LLM%20requests of your "
        "Grafana, where a folder with the UID broadcast exists. Alerts on TraceQL are experimental: they "
        "need the feature toggle tempoAlerting. Without a UID here they read Grafana Cloud's own data "
        "source. The limits are examples.",
        source=UID,
    ),
)


def filled(text: str, source: str) -> str:
    """Return a file with its data source; one that is imported asks for it unless it is known."""
    whole = json.loads(text)
    if not source and "__inputs" in whole:
        return text
    whole.pop("__inputs", None)
    return json.dumps(whole, indent=2, ensure_ascii=False).replace(_MARK, source or UID) + "\n"
