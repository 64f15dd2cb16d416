"""The fault table, F24: secrets reach no run folder, no log, no report and no terminal, whichever way they come."""

import re
import shutil
from pathlib import Path

import pytest
from baking import commit, succeed
from faults import SETTING, Ended, Project
from outcomes import the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
pytest_plugins = ["fault_fixtures"]
SECRET = "hunter2-Vd81kq"  # as a test makes one up; nothing opens with it
VARIABLE = {"STORE_API_KEY": f"{SECRET}-of-a-variable"}


def assert_nowhere(secret: str, ended: Ended, *folders: Path) -> None:
    """Neither on the terminal nor in any file, whatever its format and name."""
    assert secret not in ended.out + ended.err
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert [path for path in paths if secret in path.name or secret.encode() in path.read_bytes()] == []


GIVEN = {
    "F24f a secret on the command line": [f"+system.api_key={SECRET}"],
    "F24g a secret in a nested value": [f"+model.options={{password:{SECRET}}}"],
    "F24h a password in a URL": [f"system.datasets_dir=https://user:{SECRET}@host/data"],
    "F24i a secret from the environment": ["study=${oc.env:STORE_PASSWORD}"],
    "F24j a secret from the environment under another name": ["+model.hello=${oc.env:STORE_PASSWORD}"],
    "F24k a secret in a sweep": ["--multirun", "seed=0,1", f"+model.auth_token={SECRET}"],
    "F24l a secret that is swept over": ["--multirun", "seed=0,1", f"+model.token={SECRET},{SECRET}2"],
    "F24p a secret in a list of mappings": [f"+model.stores=[{{host:x}},{{passphrase:{SECRET}}}]"],
    "F24q a password with an @ in a URL": [f"'system.datasets_dir=https://user:x@{SECRET}@host/data'"],
    "F24r a token before the host of a URL": [f"system.datasets_dir=https://{SECRET}@host/data"],
    "F24s a signed URL": [f"'system.datasets_dir=https://host/data?sv=1&sig={SECRET}'"],
    "F24t a header": [f"'+model.header=Bearer {SECRET}'"],
    "F24u a webhook of a callback": [f"+hydra.callbacks.x.webhook_url={SECRET}"],
}


@pytest.mark.parametrize("row", GIVEN)
def test_refused(row: str, project: Project, tmp_path: Path) -> None:
    before = set(project.root.rglob("*"))
    refused = project.run(*SETTING, *GIVEN[row], f"system.runs_dir={tmp_path}", STORE_PASSWORD=SECRET)
    assert "secret" in refused.sentence
    assert_nowhere(SECRET, refused, tmp_path)
    assert {path for path in project.root.rglob("*") if "__pycache__" not in path.parts} <= before


def test_f24m_secrets_in_the_environment(project: Project, tmp_path: Path) -> None:
    """F24m secrets in the environment of a run, a report and an evaluation."""
    names = ("AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "HF_TOKEN", "DATABASE_PASSWORD")
    variables = {name: f"{SECRET}-{name}" for name in names}
    ended = project.run(*SETTING, "tracker=tensorboard", f"system.runs_dir={tmp_path}", **variables)
    assert (ended.status, ended.err) == (0, "")
    assert_nowhere(SECRET, ended, tmp_path)
    for script, words in {"evaluate": [], "report": [f"reports_dir={tmp_path / 'reports'}"]}.items():
        ended = project.run(f"runs_dir={tmp_path}", *words, script=script, **variables)
        assert (ended.status, ended.err) == (0, "")
        assert_nowhere(SECRET, ended, tmp_path)


@pytest.fixture(scope="module")
def repository(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project under git, from a server that asks for a password, with changes that are not committed."""
    root = tmp_path_factory.mktemp("repository") / "project"
    shutil.copytree(project.root, root)
    commit(root, "begin")
    succeed("git", "remote", "add", "origin", f"https://user:{SECRET}@host/study.git?key={SECRET}", cwd=root)
    with (root / "modules" / "models" / "networks.py").open("a", encoding="utf-8") as file:
        file.write(f'\nSTORE = "https://user:{SECRET}@host/models"\nKEY = "{VARIABLE["STORE_API_KEY"]}"\n')
    return Project(root, tmp_path_factory.mktemp("processes"))


def test_f24n_a_secret_in_the_repository(repository: Project, tmp_path: Path) -> None:
    """F24n a password in the address of the git remote, and in lines of code that are not committed."""
    ended = repository.run(*SETTING, f"system.runs_dir={tmp_path}", **VARIABLE)
    assert (ended.status, ended.err) == (0, "")
    assert_nowhere(SECRET, ended, tmp_path)
    assert list(the_run(tmp_path).glob("code-*.diff"))


def test_f24v_keys_and_environments_beside_the_code(repository: Project, tmp_path: Path) -> None:
    """F24v an untracked .env, a key, and a password in a YAML file: not in the diff that a run keeps of its code."""
    planted = {
        "modules/.env": f"STORE={SECRET}",
        "config/id_rsa": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n",
        "modules/deploy.txt": f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----\n",
        "config/store.yaml": f"host: here\npassword: {SECRET}\n",
        "modules/store.py": f'login(passphrase="{SECRET}")\n',
    }
    for name, text in planted.items():
        (repository.root / name).write_text(text, encoding="utf-8")
    ended = repository.run(*SETTING, f"system.runs_dir={tmp_path}", **VARIABLE)
    for name in planted:
        (repository.root / name).unlink()
    assert (ended.status, ended.err) == (0, "")
    assert_nowhere(SECRET, ended, tmp_path)
    (diff,) = the_run(tmp_path).glob("code-*.diff")
    assert f"warning: {diff.name} leaves out what looks like a secret, so it cannot be applied" in ended.warnings
    assert b"+host: here\n+password: ***\n" in diff.read_bytes()


def test_f24o_a_secret_in_an_error(repository: Project, tmp_path: Path) -> None:
    """F24o an exception whose text holds a password: the traceback in train.log and the reason in state.json do not."""
    networks = repository.root / "modules" / "models" / "networks.py"
    before = networks.read_text(encoding="utf-8")
    raised = f'raise RuntimeError("cannot reach https://user:{SECRET}@host/models")'
    broken = re.sub(r"(    def forward\(.*\n)", rf"\1        if self.training:\n            {raised}\n", before)
    assert broken != before
    networks.write_text(broken, encoding="utf-8")
    failed = repository.run(*SETTING, f"system.runs_dir={tmp_path}", **VARIABLE)
    networks.write_text(before, encoding="utf-8")
    assert failed.status == 1
    assert_nowhere(SECRET, failed, tmp_path)
