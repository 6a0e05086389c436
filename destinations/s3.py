"""S3: receipts as objects of newline-delimited JSON, in a bucket of yours at Amazon or a compatible store.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html and .../ErrorResponses.html
(addresses, codes), https://developers.cloudflare.com/r2/api/s3/api/ (path style, region auto) and for
settings, path and JSON https://openrouter.ai/docs/guides/features/broadcast/s3, read 2026-11-21.
"""

import gzip
from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import Batch, Outcome, Request, Response
from broadcast.fields import SecretHeaders, field, own_headers
from broadcast.span import ResourceSpans
from destinations import _bucket, _objects, _s3_answers, _sigv4, _trace_json

_LEVEL = 6
"""Of gzip: more of it takes twice the time for hardly a byte."""


class S3(_bucket.Bucket):
    """Traces as JSON in objects, by date or by key, for Athena, DuckDB or your own jobs."""

    title = "S3 / S3-Compatible"
    category = "storage"
    mark = "Sb"
    docs = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"
    setup = (
        "Create a bucket, and credentials or a role that may write to it: s3:PutObject is enough.",
        "Or let a role trust the operator's identity, where sts:ExternalId is the ID of this workspace.",
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
        403: "Key and secret do not match, or may not write here (s3:PutObject); or the role does not trust "
        "the operator's identity with this workspace's ID as sts:ExternalId.",
        404: "There is no such bucket here.",
        413: "The store accepts only smaller objects.",
    }

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
        headers = {"content-type": self.media_type, **self.extra_headers()}
        return self.opening(Request(method="PUT", url=url, headers=headers, body=body), batch.at_us)

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means by its code."""
        return _s3_answers.judge(response)
