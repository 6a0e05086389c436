"""What S3 and its like answer: a code in XML says more than the status.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, read 2026-11-21.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Final

from broadcast.destination import Outcome, Response, Verdict, judge_api

_CODE: Final = re.compile(rb"<Code>(\w+)</Code>")
_REGION: Final = re.compile(rb"<Region>([\w-]+)</Region>")
_MEANINGS: Final[Mapping[str, Verdict]] = {
    "EntityTooLarge": Verdict.REJECTED,
    "SlowDown": Verdict.THROTTLED,
    "RequestTimeout": Verdict.RETRYING,
    "OperationAborted": Verdict.RETRYING,
}


def judge(response: Response) -> Outcome:
    """Return what an answer means by its code: a 400 is about the request, hardly ever about the data."""
    outcome = judge_api(response)
    if outcome.delivered:
        return outcome
    code, region = _CODE.search(response.body), _REGION.search(response.body)
    usual = Verdict.REFUSED if response.status == 400 else outcome.verdict
    where = region[1].decode() if region else response.headers.get("x-amz-bucket-region", "")
    return dataclasses.replace(
        outcome,
        verdict=_MEANINGS.get(code[1].decode() if code else "", usual),
        reason=f"{outcome.reason}, the bucket is in {where}" if where else outcome.reason,
    )
