"""A bucket, and what opens it: an access key with its secret, or a role that is taken on.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html (addresses) and for
settings OpenRouter's API (`ObservabilityS3DestinationConfig` of its SDK 1.3.84), read 2026-11-21. There the
external id is made when a destination is saved; here it is the workspace's own, so that it is known before.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from broadcast.destination import Destination, Lent, Request, SettingsError
from broadcast.fields import HttpsUrl, Secret, field
from destinations import _sigv4, _sts


class Bucket(Destination):
    """A destination in a bucket."""

    bucket_name: str = field(
        "Bucket name", example="my-traces-bucket", pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
    )
    auth_mode: Literal["access_keys", "iam_role"] = field(
        "Authentication",
        default="access_keys",
        example="access_keys",
        help="access_keys: a key and its secret; iam_role: a role.",
    )
    access_key_id: str | None = field(
        "Access key ID",
        default=None,
        example="AKIAIOSFODNN7EXAMPLE",
        pattern=r"[!-.0-~]+",
        help="Needed with access_keys.",
        instead={
            r"[A-Za-z0-9/+]{40}": "This is a secret access key; enter the access key ID, which is shorter."
        },
    )
    secret_access_key: Secret | None = field(
        "Secret access key",
        default=None,
        example="example",
        help="Needed with access_keys.",
        instead={r"A[KS]IA[A-Z0-9]{16}": "This is an access key ID; enter the secret that belongs to it."},
    )
    session_token: Secret | None = field(
        "Session token", default=None, example="example", help="Of temporary credentials only."
    )
    role_arn: str | None = field(
        "Role ARN",
        default=None,
        example="arn:aws:iam::123456789012:role/broadcast",
        pattern=_sts.ROLE,
        help="Needed with iam_role.",
    )
    external_id: str | None = field(
        "External ID",
        default=None,
        example="5e1b2a4c-7d58-4f0e-9a37-0c1d2e3f4a5b",
        pattern=r"[\w+=,.@:/-]{2,1224}",
        help="This workspace's ID, whatever is entered: the role requires it as sts:ExternalId.",
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

    @classmethod
    def parse(cls, config: Mapping[str, Any], *, secrets_required: bool = True) -> Self:
        """Refuse what lacks its credential: a key with its secret, or a role."""
        made = super().parse(config, secrets_required=secrets_required)
        is_role = made.auth_mode == "iam_role"
        needed = {"roleArn", "externalId"} if is_role else {"accessKeyId", "secretAccessKey"}
        missing = needed - (made.plain().keys() | made.secrets().keys()) if secrets_required else set()
        problems = {
            spec.outside: f"Enter the {spec.label}." for spec in cls.specs() if spec.outside in missing
        }
        if is_role and made.provider != "aws":
            problems["provider"] = "Only Amazon knows roles: choose aws here, or access_keys."
        if problems:
            raise SettingsError(problems)
        return made

    @classmethod
    def assigned(cls, config: Mapping[str, Any], workspace_uid: str) -> Mapping[str, Any]:
        """Return the workspace's own external id: with somebody else's, their role would be taken on."""
        named = config.get("authMode") == "iam_role" or config.get("externalId")
        return {"externalId": workspace_uid} if named else {}

    def endpoint(self) -> str:
        """Return the bucket's address: a host of its own at Amazon, else a path."""
        if self.service_url is None and self.provider == "aws" and "." not in self.bucket_name:
            return f"https://{self.bucket_name}.s3.{self.region}.amazonaws.com/"
        amazon = f"https://s3.{self.region}.amazonaws.com"
        given = self.service_url or (amazon if self.provider != "gcs" else "https://storage.googleapis.com")
        return f"{given.rstrip('/')}/{self.bucket_name}/"

    def opening(self, made: Request, at_us: int) -> Request:
        """Return a request signed for the time of sending, or with the loan that it is signed by."""

        def signed(keys: Lent) -> Request:
            own = _sigv4.signed(
                made.method, made.url, made.body, key_id=keys.key_id, secret=keys.secret,
                session_token=keys.token, region=self.region, service="s3", at_us=at_us,
            )  # fmt: skip
            return dataclasses.replace(made, headers={**made.headers, **own})

        if self.auth_mode == "iam_role":
            role, external_id = self.role_arn or "", self.external_id or ""
            return dataclasses.replace(made, loan=_sts.loan(role, external_id, self.region, at_us, signed))
        none = Secret("")
        secret, token = self.secret_access_key or none, self.session_token or none
        return signed(Lent(key_id=self.access_key_id or "", secret=secret, token=token))

    def warnings(self) -> Mapping[str, str]:
        """Return credentials that look swapped, or temporary without their token."""
        if (self.access_key_id or "").startswith("ASIA") and not self.session_token:
            return {"sessionToken": "These are temporary credentials: they need their session token."}
        return {}
