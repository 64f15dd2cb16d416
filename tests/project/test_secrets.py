"""Secrets reach no run folder, whichever way they come."""

import json
import os
from pathlib import Path

import pytest
from labkit import secrets
from labkit.runs.files import write_json
from labkit.secrets import redact, refuse_secrets
from small_runs import config_of, run_command, train_small

TOKEN = "hf_" + "abcdefghij" * 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.password", "hunter2"),
        ("system.tracker.api_key", "0123456789abcdef"),
        ("data.AUTH_TOKEN", "x"),
        ("token", "x" * 16),
        ("system.tracker.api_key", 12345678),
        ("data.url", "https://me:hunter2@host/data"),
        ("data.url", f"https://{TOKEN}@host/data"),
        ("model", "{name: net2, client_secret: x}"),
        ("study", TOKEN),
    ],
)
def test_what_looks_like_a_secret_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ValueError, match="looks like a secret, which would be stored with every run") as caught:
        refuse_secrets({key: value})
    assert str(caught.value).startswith(f"{key}: ")
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.num_tokens", 5),
        ("model.mask_token", "[MASK]"),
        ("data.url", "https://host:8080/a@b"),
        ("system.tracker.api_key", None),
        ("data.key", "image"),
        ("data.credentials_file", "here.json"),
        ("model.token", "cls"),
        ("study", "sk-learn-baseline-comparison"),
        ("study", "hf_datasets_imagenet_subset_of_many_words"),
        ("model.tokenizer", "bpe"),
    ],
)
def test_what_only_resembles_one_is_not(key: str, value: object) -> None:
    refuse_secrets({key: value})


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


def test_the_value_of_a_secret_variable_is_refused_and_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", 'a "quoted" value')
    monkeypatch.setenv("KEYBOARD", "us")
    monkeypatch.setenv("KEY_FILE", os.devnull)
    secrets._values_of_variables.cache_clear()
    try:
        with pytest.raises(ValueError, match="study: looks like a secret"):
            config_of("study=${oc.env:MY_API_KEY}")
        assert redact('it is a "quoted" value') == "it is ***"
        assert redact(f"us {os.devnull}") == f"us {os.devnull}"
    finally:
        secrets._values_of_variables.cache_clear()


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


def test_digits_of_a_number_are_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "877871928")
    secrets._values_of_variables.cache_clear()
    try:
        write_json(tmp_path / "x.json", {"loss": 0.877871928, "told": ["it is 877871928"]})
    finally:
        secrets._values_of_variables.cache_clear()
    assert json.loads((tmp_path / "x.json").read_bytes()) == {"loss": 0.877871928, "told": ["it is ***"]}
