"""The libraries of Standard Webhooks, as its makers publish them, verify what Broadcast signs."""

import json
import time

import pytest

from destinations.webhook import Webhook
from tests.destinations import own_api
from tests.world.environments import python_with
from tests.world.scripts import told

pytestmark = pytest.mark.world

LIBRARY = "standardwebhooks==1.1.0"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
VERIFY = """
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
given = json.load(sys.stdin)
try:
    Webhook(given["secret"]).verify(given["body"], given["headers"])
    print(json.dumps("verified"))
except WebhookVerificationError as error:
    print(json.dumps(str(error)))
"""


def verified(secret: str, *, age_s: int = 0, **config: str) -> str:
    destination = Webhook.parse({"url": "https://a.example", "signingSecret": SECRET, **config})
    batch = own_api.batch(destination, at_us=(int(time.time()) - age_s) * 1_000_000)
    request = destination.request(batch)
    given = {"secret": secret, "body": request.body.decode(), "headers": request.headers}
    found: str = told(python_with(LIBRARY) / "python", VERIFY, given=json.dumps(given))
    return found


def test_a_signature_is_verified() -> None:
    assert verified(SECRET) == "verified"


def test_while_the_secret_changes_either_verifies() -> None:
    assert verified(SECRET, previousSigningSecret=OLD_SECRET) == "verified"
    assert verified(OLD_SECRET, previousSigningSecret=OLD_SECRET) == "verified"


def test_another_secret_and_another_time_do_not() -> None:
    assert "signature" in verified(OLD_SECRET)
    assert "too old" in verified(SECRET, age_s=3600)
