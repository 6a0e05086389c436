"""The HTTP API, base `/api/v1`: one blueprint a resource, thin views over the use cases.

access        bearer keys, scopes, workspaces
door          in front of Flask: receipts and requests to models
receipts      POST /receipts
destinations  /observability/destinations and /broadcast
replays       .../replay, .../replays
generation    GET /generation, OpenRouter's shape
keys          GET /key, /keys
notifications GET and PATCH /notifications
workspaces    /workspaces
requests      GET /requests, /requests/{id}
usage         GET /usage, /activity
otlp          POST /otlp/v1/traces
health        /healthz, /readyz
metrics       /metrics
openapi       /api/openapi.json; description/ holds what it says
chat          the gateway
"""

from typing import Final

from flask import Flask

from broadcast.runtime import Services
from web.api import (
    chat,
    destinations,
    door,
    generation,
    health,
    keys,
    metrics,
    notifications,
    openapi,
    otlp,
    receipts,
    replays,
    requests,
    usage,
    workspaces,
)

IN_FRONT: Final = (*receipts.PATHS, *chat.ADDRESSES)
"""Addresses that no route of the application shows: what is posted there is answered at the door."""


def register(app: Flask, services: Services) -> None:
    """Give the application every route of the API."""
    managing = (destinations, replays, keys, workspaces, notifications)
    for module in (chat, generation, *managing, requests, usage, otlp, health, metrics, openapi):
        app.register_blueprint(module.blueprint(services))
    door.install(app, {**receipts.takers(services), **chat.takers(services)})
