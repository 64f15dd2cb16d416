"""Secrets reach no run folder, whichever way they come."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from labkit import secrets
from labkit.runs.files import write_json
from labkit.secrets import redact, refuse_secrets
from small_runs import config_of, run_command, train_small

TOKEN = "hf_" + "abcdefghij" * 3


NAMES = (
    *(
        "password",
        "db_password",
        "dbPassword",
        "passwd",
        "passphrase",
        "pwd",
        "pass",
        "db_pass",
        "secret",
        "client_secret",
    ),
    *("credentials", "api_key", "apiKey", "APIKEY", "X-Api-Key", "access_key", "private_key", "hf_key", "wandb_key"),
    *("ssh_key", "encryption_key", "AUTH_TOKEN", "access_token", "bearer_token", "session_token", "refreshToken"),
    *("sas_token", "bearer", "cookie", "cookies", "dsn", "jwt", "webhook", "webhook_url", "connection_string"),
)
AMBIGUOUS = ("token", "pat", "github_pat", "auth", "basic_auth")  # known by their values
VALUES = {
    "GitHub": "ghp_" + "a1" * 18,
    "GitHub, fine-grained": "github_pat_" + "a1" * 15,
    "GitLab": "glpat-" + "a1" * 10,
    "Hugging Face": TOKEN,
    "AWS": "AKIA" + "A1" * 8,
    "OpenAI": "sk-proj-" + "a1" * 20,
    "Stripe": "sk_live_" + "a1" * 12,
    "Stripe, restricted": "rk_test_" + "a1" * 12,
    "Google, key": "AIza" + "a1" * 17 + "b",
    "Google, access": "ya29." + "a1" * 12,
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "npm": "npm_" + "a1" * 18,
    "PyPI": "pypi-AgE" + "a1" * 25,
    "Docker": "dckr_pat_" + "a1" * 12,
    "Slack": "xoxb-" + "1" * 12 + "-abcdef",
    "Slack, webhook": "https://hooks.slack.com/services/T0/B0/abc",
    "SendGrid": "SG." + "a1" * 11 + "." + "a1" * 20,
    "PEM": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----",
    "Azure's address": "https://a.blob.core.windows.net/x?sv=1&sig=a1b2c3%3D",
    "AWS's address": "https://b.s3.amazonaws.com/x?X-Amz-Signature=a1b2c3d4",
    "Google's address": "https://storage.googleapis.com/x?X-Goog-Signature=a1b2c3d4",
    "a token in an address": "https://host/x?access_token=a1b2c3d4",
    "a header": "Bearer x",
    "a header with its name": "Authorization: Basic dXNlcjpwYXNz",
    "a login": "https://me:hunter2@host/data",
    "a login with an @": "postgresql://user:p@ss@host/db",
    "a login without a scheme": "user:p@ss@host:5432/db",
    "a token before a host": "https://token@host/data",
    "an issued token before a host": f"https://{TOKEN}@host/data",
    "a mapping as text": "{name: net2, client_secret: x}",
}


def refused(key: str, value: object) -> str:
    with pytest.raises(ValueError, match="looks like a secret, which would be stored with every run") as caught:
        refuse_secrets({key: value})
    assert str(value) not in str(caught.value)
    return str(caught.value).partition(": ")[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_secret_is_refused_wherever_it_stands(name: str) -> None:
    assert refused(name, "hunter2") == name
    assert refused(f"system.tracker.{name}", "hunter2") == f"system.tracker.{name}"
    assert refused(name, ["hunter2"]) == name
    assert refused("model.stores", [{"host": "x"}, {name: "hunter2"}]) == f"model.stores.{name}"
    assert refused("model", f"{{host: x, {name}: hunter2}}") == "model"


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_name_that_may_mean_something_else_is_refused_if_its_value_is_random(name: str) -> None:
    assert refused(name, "hunter2-Vd81kq") == name
    assert refused(name, "x" * 16) == name
    for harmless in ("cls", "<|endoftext|>", "*.png", "basic", "kerberos", "end of text, as it is told", True, 17):
        refuse_secrets({name: harmless})


@pytest.mark.parametrize("case", VALUES)
def test_a_value_that_looks_like_a_secret_is_refused_and_redacted(case: str) -> None:
    assert refused("data.url", VALUES[case]) == "data.url"
    assert refused("data.stores", [{"url": VALUES[case]}]) == "data.stores.url"


@pytest.mark.parametrize("value", [12345678, 0])
def test_a_number_may_be_a_password(value: int) -> None:
    assert refused("system.tracker.api_key", value) == "system.tracker.api_key"


def test_what_is_redacted_leaves_the_rest() -> None:
    for case, shown in {
        "GitHub": "***",
        "PEM": "***",
        "Azure's address": "https://a.blob.core.windows.net/x?sv=1&sig=***",
        "a header": "Bearer ***",
        "a header with its name": "Authorization: Basic ***",
        "a login": "https://***@host/data",
        "a login with an @": "postgresql://***@host/db",
        "a token before a host": "https://***@host/data",
    }.items():
        assert redact(f"see {VALUES[case]} there") == f"see {shown} there"
        assert redact(redact(VALUES[case])) == redact(VALUES[case])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.tokens_per_batch", 64),
        ("model.pass_through", True),
        ("model.pass_through", "true"),
        ("data.low_pass", "butterworth"),
        ("model.compass", "north-east-12345"),
        ("model.bypass", "attention1234567"),
        ("data.author", "somebody-1234567"),
        ("data.pattern", "*.png"),
        ("data.path", "data/images/12345678"),
        ("model.max_tokens", 512),
        ("model.num_tokens", 5),
        ("model.mask_token", "[MASK]"),
        ("model.tokenizer", "bpe"),
        ("model.token_dropout", 0.1),
        ("data.key", "image"),
        ("data.keys", ["image", "label"]),
        ("model.num_heads/keys", 3),
        ("data.monkey", "capuchin-1234567"),
        ("data.secretary_problem", "yes"),
        ("model.passes", 2),
        ("data.url", "https://host:8080/a@b"),
        ("data.url", "ssh://git@github.com/group/study.git"),
        ("data.url", "git@github.com:group/study.git"),
        ("data.image", "group/image:tag@sha256:0123abcd"),
        ("data.url", "https://${oc.env:USER}:${oc.env:STORE_PASSWORD}@host"),
        ("system.tracker.api_key", None),
        ("system.tracker.api_key", "null"),
        ("system.tracker.api_key", "${oc.env:STORE_KEY}"),
        ("system.tracker.api_key_env", "STORE_KEY"),
        ("hydra.launcher.setup", ["export WANDB_API_KEY=$(cat ~/.wandb)", "export HF_TOKEN=$MY_TOKEN"]),
        ("data.credentials_file", "here.json"),
        ("data.password_length", 12),
        ("study", "sk-learn-baseline-comparison"),
        ("study", "hf_datasets_imagenet_subset_of_many_words"),
        ("data.note", "Basic configurations of the bearer of news"),
    ],
)
def test_what_only_resembles_one_is_not(key: str, value: object) -> None:
    refuse_secrets({key: value})
    assert redact(str(value)) == str(value)


@pytest.mark.parametrize(
    "word", ["+model.api_key=01234567", "study=https://me:hunter2@host", "+token=abcdefghijklmnop"]
)
def test_one_on_the_command_line_is_refused_before_anything_reads_it(word: str, runs_dir: Path) -> None:
    for more in ((), ("--multirun", "seed=0,1")):
        answer = run_command("runs/train.py", word, f"system.runs_dir={runs_dir}", *more)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr.startswith(f"error: {word.partition('=')[0].lstrip('+')}: looks like a secret")
        assert len(answer.stderr.splitlines()) == 1
    assert not runs_dir.exists()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables as if they had been there from the start."""
    secrets._values_of_variables.cache_clear()

    def set_them(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        secrets._values_of_variables.cache_clear()

    yield set_them
    secrets._values_of_variables.cache_clear()


def test_the_value_of_a_secret_variable_is_refused_and_redacted(variables: Callable[..., None]) -> None:
    variables(MY_API_KEY='a "quoted" value', KEYBOARD="us", KEY_FILE=os.devnull)
    with pytest.raises(ValueError, match="study: looks like a secret"):
        config_of("study=${oc.env:MY_API_KEY}")
    assert redact('it is a "quoted" value') == "it is ***"
    assert redact(f"us {os.devnull}") == f"us {os.devnull}"


SECRET_VARIABLES = (
    *(
        "DB_PASSWORD",
        "PGPASSWORD",
        "MYSQL_PWD",
        "SSH_PASSPHRASE",
        "SMTP_PASS",
        "GITHUB_PAT",
        "REDIS_AUTH",
        "SENTRY_DSN",
    ),
    *("SESSION_COOKIE", "SLACK_WEBHOOK_URL", "AZURE_STORAGE_CONNECTION_STRING", "MY_JWT", "HF_TOKEN", "WANDB_API_KEY"),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SAS_TOKEN", "ENCRYPTION_KEY", "DEPLOY_KEY", "GOOGLE_CREDENTIALS"),
)
OTHER_VARIABLES = (
    *("PWD", "OLDPWD", "KEYBOARD", "AUTHOR", "COMPASS", "TOKENIZERS_PARALLELISM", "MONKEY", "PATTERN", "BYPASS"),
    *("SSH_AUTH_SOCK", "PASSWORD_FILE", "KEY_PATH"),
)


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_a_variable_with_the_name_of_a_secret_holds_one(name: str, variables: Callable[..., None]) -> None:
    variables(**{name: "hunter2-Vd81kq"})
    assert redact("it is hunter2-Vd81kq, he said") == "it is ***, he said"


@pytest.mark.parametrize("name", OTHER_VARIABLES)
def test_another_variable_does_not(name: str, variables: Callable[..., None]) -> None:
    variables(**{name: "/gone/hunter2"})
    assert redact("it is /gone/hunter2") == "it is /gone/hunter2"


def test_an_error_that_names_one_is_redacted_in_the_log_and_the_state(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("https://me:hunter2@host/data does not answer")

    monkeypatch.setattr("modules.training.trainer.Trainer.train", fail)
    with pytest.raises(ConnectionError):
        train_small(runs_dir)
    written = [path.read_text(encoding="utf-8") for path in runs_dir.rglob("*") if path.suffix in (".json", ".log")]
    assert sum("https://***@host/data does not answer" in text for text in written) == 2
    assert not any("hunter2" in text for text in written)


def test_digits_of_a_number_are_no_secret(tmp_path: Path, variables: Callable[..., None]) -> None:
    variables(DB_PASSWORD="877871928")
    write_json(tmp_path / "x.json", {"loss": 0.877871928, "told": ["it is 877871928"]})
    assert json.loads((tmp_path / "x.json").read_bytes()) == {"loss": 0.877871928, "told": ["it is ***"]}
