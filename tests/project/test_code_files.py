"""The code of a project: what its id stands for, what its copies hold, and what stays out of both."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from labkit.launching import snapshot
from labkit.launching.snapshot import freeze
from labkit.runs import code_files, provenance
from labkit.runs.code_files import copy_code, id_of
from small_runs import SMALL, run_command
from test_provenance import committed, copy_of_the_project, git
from test_provenance import provenance as provenance_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
SECRET = "hunter2-Vd81kq"  # as a test makes one up; nothing opens with it


@pytest.fixture(name="project")
def a_project(tmp_path: Path) -> Path:
    return copy_of_the_project(tmp_path)


@pytest.fixture(name="repository")
def a_repository(tmp_path: Path) -> Path:
    return committed(copy_of_the_project(tmp_path))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project."""
    root = tmp_path / "small"
    for folder in code_files.CODE:
        (root / folder).mkdir(parents=True)
    write(root / "modules" / "model.py", "from helpers import x\n\ndef layer():\n    import os, mylib.layers as l\n")
    return root


def copied(root: Path) -> list[str]:
    copy = root.parent / "copy"
    copy_code(root, copy)
    assert id_of(copy) == id_of(root)
    files = (path for path in copy.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(copy).as_posix() for path in files)


def write(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


COUNT = {
    "a file that a model reads": "modules/models/scale.txt",
    "a package of one's own": "mylib/__init__.py",
    "a folder of Python files": "mylib/layers.py",
    "what a package reads": "mylib/tables/words.json",
    "a package that a package imports": "deeper/more/x.py",
    "a module in the root": "helpers.py",
    "a module with the name of a key": "modules/credentials.py",
    "a package with the name of a key": "modules/credentials/__init__.py",
}


@pytest.mark.parametrize("case", COUNT)
def test_code_and_what_lies_beside_it_counts_and_is_copied(case: str, root: Path) -> None:
    write(root / "mylib" / "other.py", "from deeper.more import x")
    write(root / "deeper" / "y.py")
    before = id_of(root)
    write(root / COUNT[case], "one")
    first = id_of(root)
    write(root / COUNT[case], "two")
    assert len({before, first, id_of(root)}) == 3
    assert COUNT[case] in copied(root)


def test_a_name_is_a_part_of_the_code(root: Path) -> None:
    before = id_of(root)
    (root / "modules" / "model.py").rename(root / "modules" / "other.py")
    assert id_of(root) != before


LEFT_OUT = (
    *("modules/__pycache__/model.cpython-311.pyc", "modules/model.pyc", "modules/.model.py.swp", "modules/model.py~"),
    *("modules/#model.py#", "modules/.ipynb_checkpoints/model.py", "modules/.env", "modules/.env.local", ".env"),
    *("modules/prod.env", "modules/id_rsa", "modules/id_rsa.pub", "modules/id_ed25519", "modules/server.PEM"),
    *("modules/private.key", "modules/.netrc", "modules/credentials", "modules/data/credentials.json"),
    *("modules/client_secret_17.json", "modules/.aws/config", "data/datasets/x.py", "tests/test_x.py", "docs/conf.py"),
    *(
        ".venv/x.py",
        "my-notes/x.py",
        "scripts/plot.py",
        "scripts/__init__.py",
        "plot.py",
        "mylib/words.txt",
        "notes/x.txt",
        "README.md",
        "config/model/x.yaml",
    ),
)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_no_code_changes_no_id_and_is_not_copied(name: str, root: Path) -> None:
    before = id_of(root)
    write(root / name)
    assert id_of(root) == before
    assert copied(root) == ["modules/model.py"]


@posix
def test_links_that_lead_nowhere_and_sockets_stop_nothing(root: Path) -> None:
    before = id_of(root)
    modules = root / "modules"
    (modules / ".#model.py").symlink_to("me@host.1234:1700000000")  # as Emacs locks a file
    (modules / "gone").symlink_to("/not/there")
    (modules / "itself").symlink_to("itself")
    (root / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as opened:
        here = os.open(modules, os.O_RDONLY)
        opened.bind(f"/proc/self/fd/{here}/socket" if sys.platform == "linux" else str(modules / "socket"))
        os.close(here)
        assert (modules / "socket").exists()
        assert id_of(root) == before
        assert copied(root) == ["modules/model.py"]


@posix
def test_files_that_an_editor_has_locked_stop_no_command(project: Path, runs_dir: Path) -> None:
    (project / "thesis").mkdir()
    (project / "thesis" / "x.tex").write_text("no claim")
    (project / "studies").mkdir()
    folders = ("config", "config/model", "config/data", "config/experiment", "modules", "studies", "thesis", "runs")
    for folder, suffix in [(f, s) for f in folders for s in ("yaml", "py", "tex")]:
        (project / folder / f".#x.{suffix}").symlink_to("me@host.1234:1700000000")
    place = f"system.runs_dir={runs_dir}"
    for words, status, said in (
        (["train", *SMALL, place], 0, "step 14"),
        (["train", "--multirun", "seed=0,1", *SMALL, place], 0, "all 2 members are finished"),
        (["train", "--help"], 0, "experiment: "),
        (["train", "modle=net2"], 1, "error: modle: nothing reads this key"),
        (["prepare", "datasets=[x]"], 1, "error: datasets: "),
        (["report", "audit=thesis"], 0, "comes from a report as it is now"),
    ):
        answer = run_command(f"runs/{words[0]}.py", *words[1:], cwd=project)
        assert answer.returncode == status, answer
        assert said in answer.stdout + answer.stderr
        assert ".#" not in answer.stdout + answer.stderr


@posix
def test_a_link_to_data_is_not_followed(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "images" / "1.png", "one")
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(code_files.LARGEST + 1)
    write(root / "data" / "datasets" / "x.npy")
    (root / "modules" / "images").symlink_to(tmp_path / "images")
    (root / "modules" / "large").symlink_to(large)
    (root / "modules" / "prepared").symlink_to("../data/datasets")
    before = id_of(root)
    write(tmp_path / "images" / "2.png")
    assert id_of(root) == before
    assert copied(root) == ["modules/images", "modules/large", "modules/model.py", "modules/prepared"]
    copy = root.parent / "copy" / "modules"
    assert (copy / "large").is_symlink()
    assert (copy / "images").resolve() == tmp_path / "images"
    assert (copy / "prepared" / "x.npy").read_text() == "x"
    (root / "modules" / "images").unlink()
    (root / "modules" / "images").symlink_to(tmp_path)
    assert id_of(root) != before


@posix
def test_a_link_to_code_is_followed_and_its_files_count(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    write(shared / "layers.py", "one")
    write(shared / "sub" / "words.txt", "one")
    (shared / "back").symlink_to(root / "modules")
    write(tmp_path / "scale.txt", "1")
    (root / "modules" / "shared").symlink_to(shared)
    (root / "mylib").symlink_to(shared)
    write(root / "unread" / "__init__.py")  # nothing imports it
    (root / "modules" / "scale.txt").symlink_to(tmp_path / "scale.txt")
    (root / "modules" / "up").symlink_to("..")  # a loop
    ids = [id_of(root)]
    for path in (shared / "layers.py", shared / "sub" / "words.txt", tmp_path / "scale.txt"):
        write(path, "two")
        ids.append(id_of(root))
    assert len(set(ids)) == 4
    assert {"modules/shared/layers.py", "mylib/sub/words.txt", "modules/scale.txt"} <= set(copied(root))
    assert not (root.parent / "copy" / "modules" / "shared").is_symlink()


def test_code_that_holds_a_secret_is_not_copied_and_the_line_is_named(root: Path) -> None:
    for name, text in {
        "modules/store.py": f'import os\n\nURL = "https://user:{SECRET}@host/models"\n',
        "modules/store.yaml": f"host: x\n\npassword: {SECRET}\n",
        "modules/login.py": f'import os\n\nlogin(password="{SECRET}")\n',
        "modules/key.txt": "a\n\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n",
    }.items():
        write(root / name, text)
        with pytest.raises(ValueError, match=rf"^{name}, line 3: looks like a secret, which a copy of the code"):
            copy_code(root, root.parent / "copy")
        (root / name).unlink()


def test_code_that_reads_secrets_elsewhere_is_copied(root: Path) -> None:
    lines = (
        'password = os.environ["STORE_PASSWORD"]',
        "token = tokens[i]",
        'url = f"https://{user}:{password}@{host}/x"',
        'mask_token: str = "[MASK]"',
        "def login(password: str, cookie: str | None = None) -> None: ...",
        'raise ValueError("password: must not be empty")',
        "secret = getpass()",
    )
    write(root / "modules" / "store.py", "\n".join(lines))
    write(root / "modules" / "store.yaml", "password: null\napi_key: ${oc.env:STORE_KEY}\ncookie:\n  name: x\n")
    assert "modules/store.py" in copied(root)


def test_the_project_itself_has_no_line_that_looks_like_a_secret(tmp_path: Path) -> None:
    copy_code(provenance.ROOT, tmp_path / "copy")
    assert id_of(tmp_path / "copy") == provenance.code_id()


@pytest.mark.parametrize("folder", ["modules", "config", "mylib"])
def test_a_file_that_is_too_large_is_refused_by_name(folder: str, project: Path, runs_dir: Path) -> None:
    write(project / "mylib" / "x.py", "")
    write(project / "modules" / "more.py", "import mylib.x")
    with (project / folder / "big.bin").open("wb") as file:
        file.truncate(104_000_000)
    answer = run_command("runs/train.py", *SMALL, f"system.runs_dir={runs_dir}", cwd=project)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"error: {folder}/big.bin: has 104 MB, and all code may have 20 MB, because runs and jobs keep copies of it; "
        "move it out of the code, and data into data/datasets\n"
    )
    assert not runs_dir.exists()


def test_many_small_files_that_are_too_large_are_refused_as_well(root: Path) -> None:
    for name, size in {"a": 8, "b": 9, "c": 7}.items():
        (root / "modules" / name).write_bytes(bytes(size * 10**6))
    with pytest.raises(ValueError, match=r"^modules/b: has 9 MB, and all code may have 20 MB"):
        id_of(root)


@pytest.fixture
def frozen(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Freezes the small project as it is; returns the folder of the copy."""
    monkeypatch.setattr(snapshot, "ROOT", root)
    monkeypatch.setattr(provenance, "code_id", lambda: id_of(root))
    return lambda: freeze(root.parent / "runs").parent


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a file was changed": lambda copy: write(copy / "modules" / "model.py", "other"),
    "a file is gone": lambda copy: (copy / "modules" / "model.py").unlink(),
    "a file was added": lambda copy: write(copy / "modules" / "new.py"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_copy_that_is_not_what_its_name_says_is_made_anew(case: str, frozen: Callable[[], Path], root: Path) -> None:
    copy = frozen()
    (submitted,) = copy.glob("submitted-*.json")
    (submitted.parent / "submitted-of-others.json").write_text("{}")
    DAMAGES[case](copy)
    assert frozen() == copy
    assert id_of(copy) == id_of(root) == copy.name
    assert {"submitted-of-others.json", submitted.name} <= {path.name for path in copy.iterdir()}  # jobs name them
    assert list(copy.parent.iterdir()) == [copy]


def test_a_copy_that_is_whole_is_used_as_it_is(frozen: Callable[[], Path]) -> None:
    before = (frozen() / "modules" / "model.py").stat().st_ino
    assert (frozen() / "modules" / "model.py").stat().st_ino == before


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_copies_are_for_their_owner_alone_whatever_the_umask(umask: int, frozen: Callable[[], Path]) -> None:
    before = os.umask(umask)
    try:
        copy = frozen()
    finally:
        os.umask(before)
    assert copy.parent.stat().st_mode & 0o777 == 0o700


def test_a_diff_shows_no_key_and_no_secret_and_says_what_it_leaves_out(repository: Path) -> None:
    write(repository / "modules" / ".env", f"A={SECRET}")
    write(repository / "config" / "id_rsa", SECRET)
    assert provenance_of(repository).code_diff() is None
    assert provenance_of(repository).git_state()["dirty"] is False
    write(repository / "config" / "store.yaml", f"host: here\npassword: {SECRET}\n")
    write(repository / "modules" / "store.py", f'import helpers\n\nURL = "https://user:{SECRET}@host"\n')
    write(repository / "helpers.py", "x = 1\n")
    write(repository / "scripts.py", "y = 1\n")  # which nothing imports
    diff = provenance_of(repository).code_diff()
    assert SECRET.encode() not in diff
    assert diff.startswith(b"# This patch does not give the code back: what looked like a secret in it is ***.\n")
    assert b"+y = 1" not in diff
    for line in (b"+host: here", b"+password: ***", b'+URL = "https://***@host"', b"+x = 1"):
        assert line in diff.splitlines()
    assert b"id_rsa" not in diff


def test_a_module_that_git_ignores_is_copied_and_not_in_the_diff(repository: Path) -> None:
    write(repository / "modules" / "more.py", "import scratch")
    git(repository, "add", "--all")
    git(repository, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "more")
    alone = provenance_of(repository).code_id()
    write(repository / "scratch.py", "x = 1")
    before = provenance_of(repository).code_id()
    assert before != alone
    write(repository / ".gitignore", "scratch.py")
    git(repository, "add", ".gitignore")
    assert provenance_of(repository).code_id() == before
    assert provenance_of(repository).code_diff() is None
