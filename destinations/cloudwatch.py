"""Amazon CloudWatch: spans for Transaction Search, through X-Ray's OTLP endpoint.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html (address
by region, Signature 4, both encodings, gzip or none; 5 MB a request, 200 KB a span, 14 days, and 24 hours
from the first to the last), read 2026-11-21. The signature is of the body as it is sent, and compression is
the transport's, so this goes uncompressed. The page of a trace is not documented.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Batch, Destination, Request
from broadcast.fields import JsonOrProtobuf, Secret, SecretHeaders, field, own_encoding, own_headers
from destinations import _sigv4


class CloudWatch(Destination):
    """Spans in CloudWatch Transaction Search and on X-Ray's trace map."""

    title = "Amazon CloudWatch"
    category = "tracing"
    mark = "Cw"
    docs = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html"
    setup = (
        "In CloudWatch, open Settings > X-Ray traces and enable Transaction Search.",
        "Create credentials of an IAM user or role with the policy AWSXRayWriteOnlyAccess.",
        "Enter the region as its code, such as eu-central-1.",
    )
    compress = False
    max_age_s = 14 * 86_400
    hints: ClassVar[Mapping[int, str]] = {
        400: "X-Ray refused the request: enable Transaction Search with CloudWatch Logs as its destination.",
        401: "The credentials are not accepted.",
        403: "The access key or its secret is wrong or expired, or may not xray:PutSpans.",
        404: "X-Ray has no OTLP endpoint in this region.",
        413: "The request is larger than X-Ray accepts.",
        429: "X-Ray's limit of spans a second is reached.",
    }

    region: str = field(
        "Region",
        example="eu-central-1",
        pattern=r"[a-z]{2}(?:-[a-z]+)+-\d",
        help="The code of the region, not of a zone.",
    )
    access_key_id: str = field("Access key ID", example="AKIAIOSFODNN7EXAMPLE", pattern=r"[A-Z0-9]{16,128}")
    secret_access_key: Secret = field("Secret access key", example="example")
    session_token: Secret = field(
        "Session token", default=Secret(""), example="example", help="Of temporary credentials only."
    )
    encoding: JsonOrProtobuf = own_encoding("protobuf")
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the region's traces address."""
        china = ".cn" if self.region.startswith("cn-") else ""
        return f"https://xray.{self.region}.amazonaws.com{china}/v1/traces"

    def request(self, batch: Batch) -> Request:
        """Return the request, signed for the time of sending."""
        made = super().request(batch)
        signed = _sigv4.signed(
            made.method, made.url, made.body, key_id=self.access_key_id, secret=self.secret_access_key,
            session_token=self.session_token, region=self.region, service="xray", at_us=batch.at_us,
        )  # fmt: skip
        return dataclasses.replace(made, headers={**made.headers, **signed})

    def warnings(self) -> Mapping[str, str]:
        """Return temporary credentials without their token, or a token that belongs to none."""
        temporary = self.access_key_id.startswith("ASIA")
        if temporary and not self.session_token:
            return {"sessionToken": "A key that starts with ASIA is temporary: paste its session token too."}
        if self.session_token and self.access_key_id.startswith("AKIA"):
            return {"sessionToken": "A key that starts with AKIA has no session token: leave it empty."}
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str:
        """Return the trace in the console, its id in X-Ray's form."""
        del at_us
        place = f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
        return f"{place}#xray:traces/1-{trace_id[:8]}-{trace_id[8:]}"
