"""S3: receipts as objects of newline-delimited JSON, in a bucket of yours at Amazon or a compatible store.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html and .../ErrorResponses.html
(addresses, codes), https://developers.cloudflare.com/r2/api/s3/api/ (path style, region auto) and for
settings, path and JSON https://openrouter.ai/docs/guides/features/broadcast/s3, read 2026-11-21.
"""

import gzip
from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import Batch, Destination, Outcome, Request, Response
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers
from broadcast.span import ResourceSpans
from destinations import _objects, _s3_answers, _sigv4, _trace_json

_LEVEL = 6
"""Of gzip: more of it takes twice the time for hardly a byte."""


class S3(Destination):
    """Traces as JSON in objects, by date or by key, for Athena, DuckDB or your own jobs."""

    title = "S3 / S3-Compatible"
    category = "storage"
    mark = "Sb"
    docs = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"
    setup = (
        "Create a bucket, and credentials that may write to it: s3:PutObject is enough.",
        "Enter the bucket's region; for Cloudflare R2, MinIO and others the endpoint, too.",
    )
    media_type = "application/x-ndjson"
    sent_as = "objects (NDJSON)"
    compress = False
    prompt_attributes = True
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        301: "The bucket is in another region: enter the one that the answer names.",
        400: "The region or the temporary credentials are wrong: the answer says which.",
        401: "The credentials are not accepted.",
        403: "The access key or its secret is wrong, or may not write to this bucket (s3:PutObject).",
        404: "There is no such bucket here.",
        413: "The store accepts only smaller objects.",
    }

    bucket_name: str = field(
        "Bucket name", example="my-traces-bucket", pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
    )
    access_key_id: str = field(
        "Access key ID",
        example="AKIAIOSFODNN7EXAMPLE",
        pattern=r"[!-.0-~]+",
        instead={
            r"[A-Za-z0-9/+]{40}": "This is a secret access key; enter the access key ID, which is shorter."
        },
    )
    secret_access_key: Secret = field(
        "Secret access key",
        example="example",
        instead={r"A[KS]IA[A-Z0-9]{16}": "This is an access key ID; enter the secret that belongs to it."},
    )
    session_token: Secret | None = field(
        "Session token", default=None, example="example", help="Of temporary credentials only."
    )
    region: str = field(
        "Region", default="us-east-1", example="eu-central-1", pattern=r"[a-z0-9-]+", help="auto for R2."
    )
    service_url: HttpsUrl | None = field(
        "Custom endpoint",
        outside="endpoint",
        default=None,
        example="https://account-id.r2.cloudflarestorage.com",
        help="Only for R2, MinIO and other compatible services.",
    )
    provider: Literal["aws", "cloudflare_r2", "gcs", "other"] = field(
        "Provider", default="aws", example="aws"
    )
    auth_mode: Literal["access_keys"] = field(
        "Authentication", default="access_keys", example="access_keys", help="Role: its temporary keys."
    )
    prefix: str = field("Prefix", default="openrouter-traces", example="openrouter-traces")
    path_template: str = field(
        "Path template",
        default="{prefix}/{date}",
        example="{prefix}/{date}",
        pattern=_objects.TEMPLATE,
        help="Of {prefix} {date} {year} {month} {day} {apiKeyName}; with {apiKeyName}, one object a receipt.",
    )
    objects: Literal["batch", "receipt"] = field(
        "Objects", default="batch", example="batch", help="batch: many receipts an object; receipt: one."
    )
    compression: Literal["none", "gzip"] = field("Compression", default="none", example="none")
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the bucket's address: a host of its own at Amazon, else a path."""
        if self.service_url is None and self.provider == "aws" and "." not in self.bucket_name:
            return f"https://{self.bucket_name}.s3.{self.region}.amazonaws.com/"
        amazon = f"https://s3.{self.region}.amazonaws.com"
        given = self.service_url or (amazon if self.provider != "gcs" else "https://storage.googleapis.com")
        return f"{given.rstrip('/')}/{self.bucket_name}/"

    def max_receipts(self) -> int:
        """Return how many receipts go into one object: 1 where its path depends on the receipt."""
        return 1 if self.objects == "receipt" or _objects.KEY_NAME in self.path_template else self.max_spans

    def encode(self, spans: ResourceSpans) -> bytes:
        """Return the receipt as OpenRouter's trace JSON, one line."""
        return _trace_json.encode(spans)

    def join(self, pieces: tuple[bytes, ...]) -> bytes:
        """Return an object: a line a receipt."""
        lines = b"".join(piece + b"\n" for piece in pieces)
        return gzip.compress(lines, _LEVEL, mtime=0) if self.compression == "gzip" else lines

    def request(self, batch: Batch) -> Request:
        """Return the object under a name made of what it holds, signed for the time of sending."""
        body = self.join(batch.pieces) if batch.joined is None else batch.joined
        ending = ".gz" if self.compression == "gzip" else ""
        name = _objects.name(
            self.path_template, self.prefix, batch.pieces, ending, single=self.max_receipts() == 1
        )
        url = self.endpoint() + _sigv4.escaped(name)
        signed = _sigv4.signed(
            "PUT", url, body, key_id=self.access_key_id, secret=self.secret_access_key,
            session_token=self.session_token, region=self.region, service="s3", at_us=batch.at_us,
        )  # fmt: skip
        headers = {"content-type": self.media_type, **self.extra_headers(), **signed}
        return Request(method="PUT", url=url, headers=headers, body=body)

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means by its code."""
        return _s3_answers.judge(response)

    def warnings(self) -> Mapping[str, str]:
        """Return credentials that look swapped, or temporary without their token."""
        if self.access_key_id.startswith("ASIA") and not self.session_token:
            return {"sessionToken": "These are temporary credentials: they need their session token."}
        return {}
