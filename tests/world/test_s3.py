"""A real S3 API: moto's server, which checks every signature. What the program puts, boto3 reads back."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chaos.program import Program, eventually, free_port, program
from tests.world.environments import clean_environment, python_with
from tests.world.scripts import told

pytestmark = pytest.mark.world

MOTO = "moto[s3,server]==5.2.5"
PATIENCE_S = 60
SECRET = "the-secret-of-nobody"
SET_UP = """
import json, sys, boto3
keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
place = {"endpoint_url": sys.argv[1], "region_name": "eu-central-1", **keys}
boto3.client("s3", **place).create_bucket(
    Bucket="traces", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
)
iam = boto3.client("iam", **place)
def document(actions, **more):
    statement = {"Effect": "Allow", "Action": actions, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
def user_who_may(name, *actions, where="*"):
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(actions, Resource=where))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]
def role_for(name, user):
    trust = document("sts:AssumeRole", Principal={"AWS": "arn:aws:iam::123456789012:user/" + user})
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
print(json.dumps({
    "write": user_who_may("writer", "s3:PutObject", where="arn:aws:s3:::traces/*"),
    "read": user_who_may("reader", "s3:GetObject", "s3:ListBucket"),
    "operator": user_who_may("operator", "sts:AssumeRole"),
    "role": role_for("writer", "operator"),
    "stranger": role_for("stranger", "reader"),
}))
allowed = document("s3:PutObject", Resource="arn:aws:s3:::traces/by-role/*")
iam.put_role_policy(RoleName="writer", PolicyName="own", PolicyDocument=allowed)
"""
SET_UP_CALLS = 13
READ = """
import gzip, json, sys, boto3
url, key, secret = sys.argv[1:]
s3 = boto3.client(
    "s3", endpoint_url=url, region_name="eu-central-1", aws_access_key_id=key, aws_secret_access_key=secret
)
found = {}
for item in s3.list_objects_v2(Bucket="traces").get("Contents", ()):
    body = s3.get_object(Bucket="traces", Key=item["Key"])["Body"].read()
    text = gzip.decompress(body) if item["Key"].endswith(".gz") else body
    found[item["Key"]] = text.decode().splitlines()
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """The store, and who may write to it and read from it."""

    url: str
    python: Path
    write: tuple[str, str]
    read: tuple[str, str]
    operator: tuple[str, str]
    role: str
    stranger: str

    def objects(self) -> dict[str, list[dict[str, Any]]]:
        """Return every object as its lines."""
        found = told(self.python, READ, self.url, *self.read)
        return {name: [json.loads(line) for line in lines] for name, lines in found.items()}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    python = python_with(MOTO) / "python"
    with moto(python) as url:
        made = told(python, SET_UP, url)
        yield Cloud(url=url, python=python, **made)


@contextmanager
def moto(python: Path) -> Iterator[str]:
    """Run moto's server, which checks every signature and right once it is set up."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    values = clean_environment(INITIAL_NO_AUTH_ACTION_COUNT=str(SET_UP_CALLS))
    command = [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        command, env=values, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert eventually(lambda: answers(url), PATIENCE_S), "moto does not answer"
            yield url
        finally:
            server.terminate()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/moto-api/data.json", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def running(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("s3")
    with program(folder, None, egress=cloud.url.removeprefix("http://")) as made:
        key_id, secret = cloud.operator
        made.environment |= {
            "BROADCAST_AWS_ACCESS_KEY_ID": key_id,
            "BROADCAST_AWS_SECRET_ACCESS_KEY": secret,
            "BROADCAST_AWS_STS_URL": cloud.url,
        }
        made.bootstrap()
        made.start("web-1")
        made.start("worker-1")
        made.wait_until_ready()
        made.wait_until_at_work("worker-1")
        made.switch_on()
        yield made
        assert made.complaints() == []


def draft(cloud: Cloud, name: str, **config: Any) -> dict[str, Any]:
    key, secret = cloud.write
    where = {"bucketName": "traces", "endpoint": cloud.url, "region": "eu-central-1"}
    return {
        "type": "s3",
        "name": name,
        "config": {**where, "accessKeyId": key, "secretAccessKey": secret, "prefix": name, **config},
    }


@contextmanager
def connected(running: Program, cloud: Cloud, name: str, **config: Any) -> Iterator[None]:
    """Have a destination for the length of a test: a workspace has five of a type at most."""
    found = draft(cloud, name, **config)
    made = running.connect(name, "", type=found["type"], config=found["config"])
    yield
    running.ask("DELETE", f"/observability/destinations/{made}")


def receipts_of(objects: dict[str, list[dict[str, Any]]], prefix: str) -> list[str]:
    """Return the receipts below a prefix, without the spans of tests."""
    lines = [line for name, found in objects.items() if name.startswith(f"{prefix}/") for line in found]
    ids = [line["resource"].get("openrouter.trace.id") for line in lines]
    return sorted(one for one in ids if one is not None)


def test_wrong_credentials_are_told_from_missing_rights_and_buckets(running: Program, cloud: Cloud) -> None:
    for config, status in (
        ({"secretAccessKey": SECRET}, 403),
        ({"accessKeyId": "AKIANOBODY"}, 403),
        ({"bucketName": "nobody"}, 403),
    ):
        found = requests.post(
            f"{running.url()}/api/v1/observability/destinations",
            json=draft(cloud, "wrong", **config),
            headers={"Authorization": f"Bearer {running.management_key}"},
            timeout=30,
        )
        report = found.json()["error"]["metadata"]
        assert (found.status_code, report["stage"], report["status_code"]) == (422, "credential", status)
        assert (report["reachable"], report["credential_accepted"]) == ("yes", "no")
        assert SECRET not in found.text


def test_the_test_leaves_its_span_as_an_object(running: Program, cloud: Cloud) -> None:
    with connected(running, cloud, "tested"):
        pass
    (span,) = [lines for name, lines in cloud.objects().items() if name.startswith("tested/")]
    assert [line["observations"][0]["name"] for line in span] == ["broadcast-connection-test"]


@pytest.mark.parametrize(
    ("name", "config", "ending"),
    [
        ("batches", {}, ".ndjson"),
        ("packed", {"compression": "gzip"}, ".ndjson.gz"),
        ("single", {"objects": "receipt"}, ".json"),
        ("by-key", {"pathTemplate": "{prefix}/{apiKeyName}/{year}/{month}"}, ".json"),
        ("with=odd chars+ü", {}, ".ndjson"),
    ],
)
def test_every_receipt_is_in_the_bucket_once(
    running: Program, cloud: Cloud, name: str, config: dict[str, str], ending: str
) -> None:
    ids = [f"gen-{name.encode().hex()}-{number}" for number in range(25)]

    def arrived() -> bool:
        return receipts_of(cloud.objects(), name) == sorted(ids)

    with connected(running, cloud, name, **config):
        assert running.post(ids).status_code == 202
        assert eventually(arrived, PATIENCE_S, every_s=1.0), receipts_of(cloud.objects(), name)
    own = [item for item in cloud.objects() if item.startswith(f"{name}/")]
    assert all(item.endswith(ending) for item in own)


def by_role(cloud: Cloud, **config: Any) -> dict[str, Any]:
    """Return what is different where a role writes and no key."""
    none = dict.fromkeys(("accessKeyId", "secretAccessKey"))
    return {**none, "authMode": "iam_role", "roleArn": cloud.role, **config}


def test_a_role_writes_without_any_key_of_the_workspace(running: Program, cloud: Cloud) -> None:
    ids = [f"gen-by-role-{number}" for number in range(25)]

    def arrived() -> bool:
        return receipts_of(cloud.objects(), "by-role") == sorted(ids)

    with connected(running, cloud, "by-role", **by_role(cloud)):
        (found,) = running.ask("GET", "/observability/destinations")
        assert found["config"]["externalId"] == found["workspace_id"]
        assert running.post(ids).status_code == 202
        assert eventually(arrived, PATIENCE_S, every_s=1.0), receipts_of(cloud.objects(), "by-role")


@pytest.mark.parametrize("wrong", ["place", "role"])
def test_a_role_that_may_not_is_said_to(running: Program, cloud: Cloud, wrong: str) -> None:
    """It may write to another prefix alone, or does not trust the operator."""
    config = {"prefix": "not-for-it"} if wrong == "place" else {"roleArn": cloud.stranger}
    found = requests.post(
        f"{running.url()}/api/v1/observability/destinations",
        json=draft(cloud, "wrong", **by_role(cloud, **config)),
        headers={"Authorization": f"Bearer {running.management_key}"},
        timeout=30,
    )
    report = found.json()["error"]["metadata"]
    assert (found.status_code, report["stage"], report["credential_accepted"]) == (422, "credential", "no")
    assert cloud.operator[1] not in found.text


def test_a_killed_worker_leaves_no_receipt_out_of_the_bucket(running: Program, cloud: Cloud) -> None:
    ids = [f"gen-killed-{number}" for number in range(200)]

    def arrived() -> bool:
        return set(receipts_of(cloud.objects(), "killed")) == set(ids)

    with connected(running, cloud, "killed"):
        assert running.post(ids).status_code == 202
        running.kill("worker-1")
        running.start("worker-1")
        assert eventually(arrived, PATIENCE_S, every_s=1.0)
