import base64
import stat
from pathlib import Path

import pytest

from broadcast.config import load
from broadcast.errors import ConfigError
from broadcast.fields import Secret
from broadcast.request import Identity

AWS = {"BROADCAST_AWS_ACCESS_KEY_ID": "AKIA", "BROADCAST_AWS_SECRET_ACCESS_KEY": "s3cret"}
OIDC = {
    "BROADCAST_OIDC_ISSUER": "https://id.example.com/realms/staff",
    "BROADCAST_OIDC_CLIENT_ID": "broadcast",
    "BROADCAST_OIDC_CLIENT_SECRET": "secret-of-both",
}
KEY = base64.b64encode(bytes(range(32))).decode()


def environ(tmp_path: Path, **values: str) -> dict[str, str]:
    return {"BROADCAST_DATA_DIR": str(tmp_path / "data"), **values}


def test_defaults_need_no_variable(tmp_path: Path) -> None:
    config = load(environ(tmp_path))

    assert (config.host, config.port, config.service_name) == ("127.0.0.1", 8400, "openrouter")
    assert config.is_sqlite
    assert config.public_url == "http://127.0.0.1:8400"
    assert not config.demo


def test_generated_keys_are_kept_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    first = load(environ(tmp_path))

    second = load(environ(tmp_path))

    assert second.encryption_keys == first.encryption_keys
    assert second.secret_key == first.secret_key
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert modes == {0o600}


def test_no_secret_is_in_the_printed_configuration(tmp_path: Path) -> None:
    config = load(environ(tmp_path, UPSTREAM_KEY="sk-upstream"))

    shown = repr(config)

    assert config.encryption_keys not in shown
    assert config.secret_key.decode() not in shown
    assert "sk-upstream" not in shown


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"k9:{KEY}\n")

    config = load(environ(tmp_path, BROADCAST_ENCRYPTION_KEYS_FILE=str(file)))

    assert config.encryption_keys == f"k9:{KEY}"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"BROADCAST_PROT": "1"}, "BROADCAST_PROT"),
        ({"BROADCAST_PORT": "http"}, "BROADCAST_PORT"),
        ({"BROADCAST_PORT": "70000"}, "BROADCAST_PORT"),
        ({"BROADCAST_DEMO": "maybe"}, "BROADCAST_DEMO"),
        ({"BROADCAST_SERVICE_NAME": "My Service"}, "BROADCAST_SERVICE_NAME"),
        ({"BROADCAST_SECRET_KEY": "short"}, "BROADCAST_SECRET_KEY"),
        ({"BROADCAST_SECRET_KEY": "a" * 64}, "BROADCAST_SECRET_KEY"),
        ({"BROADCAST_ENCRYPTION_KEYS": "k1:abcd"}, "BROADCAST_ENCRYPTION_KEYS"),
        ({"BROADCAST_ENCRYPTION_KEYS": KEY}, "BROADCAST_ENCRYPTION_KEYS"),
        ({"BROADCAST_ENCRYPTION_KEYS_FILE": "/does/not/exist"}, "BROADCAST_ENCRYPTION_KEYS_FILE"),
        ({"BROADCAST_PORT": "1", "BROADCAST_PORT_FILE": "x"}, "BROADCAST_PORT_FILE"),
        ({"BROADCAST_DATABASE_URL": "mysql://x"}, "BROADCAST_DATABASE_URL"),
        ({"BROADCAST_DATABASE_URL": "postgresql://x/y"}, "BROADCAST_ENCRYPTION_KEYS"),
        *(
            ({"BROADCAST_PUBLIC_URL": url}, "BROADCAST_PUBLIC_URL")
            for url in (
                "broadcast.example.com",
                "https://",
                "https://[",
                "https://a.example:99999",
                "https://a.example:0",
                "https://a.example/path",
                "https://a.example?x=1",
                "https://a.example?",
                "https://a.example#x",
                "https://user@a.example",
                "https://:secret@a.example",
                "https://a .example",
                "https://a\\b.example",
            )
        ),
        ({"BROADCAST_TRUSTED_PROXIES": "proxy"}, "BROADCAST_TRUSTED_PROXIES"),
        ({"BROADCAST_LOG_LEVEL": "loud"}, "BROADCAST_LOG_LEVEL"),
        ({"BROADCAST_SMTP_URL": "smtp://x"}, "BROADCAST_SMTP_URL"),
        ({**OIDC, "BROADCAST_OIDC_ISSUER": ""}, "BROADCAST_OIDC_ISSUER"),
        ({**OIDC, "BROADCAST_OIDC_ISSUER": "id.example.com"}, "BROADCAST_OIDC_ISSUER"),
        ({**OIDC, "BROADCAST_OIDC_ISSUER": "http://id.example.com"}, "BROADCAST_OIDC_ISSUER"),
        ({**OIDC, "BROADCAST_OIDC_ISSUER": "https://id.example.com?realm=staff"}, "BROADCAST_OIDC_ISSUER"),
        ({**OIDC, "BROADCAST_OIDC_ISSUER": "https://me@id.example.com"}, "BROADCAST_OIDC_ISSUER"),
        ({**OIDC, "BROADCAST_OIDC_ISSUER": "https://id.example.com:port"}, "BROADCAST_OIDC_ISSUER"),
        ({**OIDC, "BROADCAST_OIDC_CLIENT_ID": ""}, "BROADCAST_OIDC_CLIENT_ID"),
        ({**OIDC, "BROADCAST_OIDC_CLIENT_SECRET": ""}, "BROADCAST_OIDC_CLIENT_SECRET"),
        ({**OIDC, "BROADCAST_OIDC_CLIENT_SECRET": "a secret"}, "BROADCAST_OIDC_CLIENT_SECRET"),
        ({**OIDC, "BROADCAST_OIDC_NAME": "N" * 41}, "BROADCAST_OIDC_NAME"),
        ({"BROADCAST_OIDC_NAME": "Example ID"}, "BROADCAST_OIDC_ISSUER"),
        ({"BROADCAST_AWS_ACCESS_KEY_ID": "AKIA"}, "BROADCAST_AWS_SECRET_ACCESS_KEY"),
        ({"BROADCAST_AWS_SECRET_ACCESS_KEY": "secret"}, "BROADCAST_AWS_ACCESS_KEY_ID"),
        ({"BROADCAST_AWS_STS_URL": "https://sts.example.com"}, "BROADCAST_AWS_ACCESS_KEY_ID"),
        ({**AWS, "BROADCAST_AWS_STS_URL": "sts.example.com"}, "BROADCAST_AWS_STS_URL"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variables: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(environ(tmp_path, **variables))

    assert named in str(refused.value)


def test_an_identity_at_amazon_is_set_by_names_of_its_own(tmp_path: Path) -> None:
    aws = load(environ(tmp_path, **AWS, BROADCAST_AWS_STS_URL="https://sts.example.com")).aws
    assert aws == Identity(key_id="AKIA", secret=Secret("s3cret"), sts_url="https://sts.example.com")
    lent_to_nobody = {name.removeprefix("BROADCAST_"): value for name, value in AWS.items()}
    assert load(environ(tmp_path, **lent_to_nobody)).aws is None


@pytest.mark.parametrize("url", ["https://a.example", "http://[::1]:8400", "https://bücher.example"])
def test_an_address_of_a_server_is_public(tmp_path: Path, url: str) -> None:
    assert load(environ(tmp_path, BROADCAST_PUBLIC_URL=f"{url}/")).public_url == url


@pytest.mark.parametrize(
    ("named", "name"), [({"BROADCAST_OIDC_NAME": "Example ID"}, "Example ID"), ({}, "id.example.com")]
)
def test_an_identity_provider_is_called_by_its_name_or_its_host(
    tmp_path: Path, named: dict[str, str], name: str
) -> None:
    oidc = load(environ(tmp_path, **OIDC, **named)).oidc

    assert oidc is not None
    assert (oidc.issuer, oidc.client_id, oidc.name) == (
        "https://id.example.com/realms/staff", "broadcast", name,
    )  # fmt: skip


def test_the_clients_secret_may_come_from_a_file_and_never_prints(tmp_path: Path) -> None:
    file = tmp_path / "client_secret"
    file.write_text("secret-of-a-file\n")
    given = OIDC | {"BROADCAST_OIDC_CLIENT_SECRET": "", "BROADCAST_OIDC_CLIENT_SECRET_FILE": str(file)}

    config = load(environ(tmp_path, **given))

    assert config.oidc is not None
    assert config.oidc.client_secret == "secret-of-a-file"
    assert "secret-of-a-file" not in repr(config)


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080/realm"]
)
def test_a_provider_on_this_machine_needs_no_tls(tmp_path: Path, issuer: str) -> None:
    oidc = load(environ(tmp_path, **OIDC | {"BROADCAST_OIDC_ISSUER": issuer})).oidc

    assert oidc is not None
    assert oidc.issuer == issuer


def test_without_a_provider_there_is_none(tmp_path: Path) -> None:
    assert load(environ(tmp_path)).oidc is None


def test_postgresql_is_spoken_through_psycopg(tmp_path: Path) -> None:
    config = load(
        environ(
            tmp_path,
            BROADCAST_DATABASE_URL="postgres://u@h/d",
            BROADCAST_ENCRYPTION_KEYS=f"a:{KEY}",
            BROADCAST_SECRET_KEY=KEY,
        )
    )

    assert config.database_url == "postgresql+psycopg://u@h/d"


def test_the_receiver_is_dialled_on_loopback_when_every_address_is_served(tmp_path: Path) -> None:
    config = load(environ(tmp_path, BROADCAST_HOST="0.0.0.0", BROADCAST_PORT="9000"))

    assert config.receiver_address == "127.0.0.1:9000"
