"""The recipes of containers are built by a real builder, on a base that is this machine's own system, from packages
that hold nothing."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE, succeed
from package_index import package_index

ENV_SETUP = TEMPLATE / PROJECT / "env_setup"
DOCKERFILE = ENV_SETUP / "Dockerfile"
BASE = "docker.io/library/python:3.12-slim"
COPIED = ["install.py", "requirements.txt", "requirements-dev.txt"]
Buildah = Callable[..., str]


def test_hadolint_finds_nothing() -> None:
    assert succeed("hadolint", DOCKERFILE, cwd=TEMPLATE) == ""


def test_the_dev_container_is_of_the_same_recipe() -> None:
    file = TEMPLATE / PROJECT / ".devcontainer" / "devcontainer.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    assert (file.parent / told["build"]["dockerfile"]).resolve() == DOCKERFILE
    assert (file.parent / told["build"]["context"]).resolve() == ENV_SETUP
    recipe = DOCKERFILE.read_text(encoding="utf-8")
    assert f"--create-home {told['remoteUser']} " in recipe
    assert (
        f"ENV PATH={Path(told['customizations']['vscode']['settings']['python.defaultInterpreterPath']).parent}:"
        in recipe
    )


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """Runs it on images of its own, of which one stands for the base: Python is there, and apt-get does nothing."""
    if os.geteuid() != 0 or not shutil.which("buildah"):
        pytest.skip("needs root and buildah: apt-get install --no-install-recommends buildah")
    folder = tmp_path_factory.mktemp("buildah")
    store = [f"--root={folder}/root", f"--runroot={folder}/runroot", "--storage-driver=vfs"]
    places = sorted({"/usr", "/bin", "/lib", "/lib64", sys.base_prefix})
    shared = [f"--volume={place}:{place}:ro" for place in places if Path(place).exists()]

    def run(verb: str, *words: str | Path) -> str:
        here = ["--isolation=chroot", *shared] if verb in ("bud", "run") else []
        return succeed("buildah", *store, verb, *here, *words, cwd=folder).strip()

    base = run("from", "scratch")
    root = Path(run("mount", base))
    root.chmod(0o755)
    for name in ("stubs", "etc", "home", "tmp", "opt"):
        (root / name).mkdir()
    for name in ("passwd", "group", "login.defs"):
        shutil.copy(f"/etc/{name}", root / "etc")
    (root / "stubs" / "python").symlink_to(Path(sys.executable).resolve())
    (root / "stubs" / "apt-get").write_text('#!/bin/sh\necho "apt-get $*" >> /stubs/asked\n')
    (root / "stubs" / "apt-get").chmod(0o755)
    texts = [(ENV_SETUP / name).read_text(encoding="utf-8") for name in COPIED[1:]]
    listed = re.findall(r"^([\w-]+)(?:\[\w+\])?(==\S+)", "\n".join(texts), re.MULTILINE)
    packages = {"pypi": ["".join(package) for package in listed], "cpu": ["torch==2.13.0+cpu"]}
    with package_index(folder / "index", packages) as address:
        for variable in ("PATH=/stubs:/usr/sbin:/usr/bin", f"PIP_INDEX_URL={address}/pypi", f"TORCH_INDEX={address}"):
            run("config", "--env", variable, base)
        run("commit", base, BASE)
        yield run


def test_the_docker_image_has_the_packages_and_writes_as_its_user(buildah: Buildah, tmp_path: Path) -> None:
    assert "\nARG TORCH=cuda\n" in DOCKERFILE.read_text(encoding="utf-8")
    buildah("bud", "--pull-never", "--tag=example", "--build-arg=TORCH=cpu", "--build-arg=UID=1234", ENV_SETUP)
    container = buildah("from", "--pull-never", "example")
    root = Path(buildah("mount", container))
    assert sorted(path.name for path in (root / "opt").glob("[!.]*")) == sorted(COPIED)
    assert {"torch": "2.13.0+cpu", "pytest": "9.2.0"}.items() <= installed(root).items()
    (tmp_path / "data").mkdir()
    for folder in (tmp_path, tmp_path / "data"):
        folder.chmod(0o777)
    script = 'mkdir data/$(id -u); touch "$HOME/$(id -u)"; command -v python; pwd'
    for user in ([], ["--user=4321:4321"]):
        said = buildah("run", "-v", f"{tmp_path}:/home/example", *user, container, "--", "/bin/sh", "-c", script)
        assert said.splitlines() == ["/opt/.venv/bin/python", "/home/example"]
    assert {int(made.name): made.stat().st_uid for made in (tmp_path / "data").iterdir()} == {1234: 1234, 4321: 4321}


def test_the_apptainer_image_is_made_by_the_same_steps(buildah: Buildah, tmp_path: Path) -> None:
    """Debian 12 has no package of Apptainer, so its steps are those of a Dockerfile here."""
    head, *parts = re.split(r"^%(\w+)\n", (ENV_SETUP / "apptainer.def").read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = {name: textwrap.dedent(text).strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    assert re.findall(r"^(\w+: .*)$", head, re.MULTILINE) == ["Bootstrap: docker", "From: python:3.12-slim"]
    assert f"\nFROM {head.split()[-1]}\n" in DOCKERFILE.read_text(encoding="utf-8")
    assert sections["arguments"] == "TORCH=cuda"
    files, post = (sections[name].replace("{{ TORCH }}", "cuda").splitlines() for name in ("files", "post"))
    steps = [f"FROM {BASE}", *(f"COPY {line}" for line in files), "RUN set -e; " + "; ".join(post)]
    steps += ["ENV " + sections["environment"].removeprefix("export ")]
    recipe = tmp_path / "Dockerfile"
    recipe.write_text("\n".join(steps), encoding="utf-8")
    buildah("bud", "--pull-never", "--tag=study", f"--file={recipe}", TEMPLATE / PROJECT)
    container = buildah("from", "--pull-never", "study")
    assert installed(Path(buildah("mount", container)))["torch"] == "2.13.0"
    assert buildah("run", container, "--", "/bin/sh", "-c", "command -v python") == "/opt/.venv/bin/python"


def installed(root: Path) -> dict[str, str]:
    """The packages of an image, which has asked for git as well."""
    assert "apt-get install --yes --no-install-recommends git\n" in (root / "stubs" / "asked").read_text()
    (packages,) = root.glob("opt/.venv/lib/*/site-packages")
    return {about.name: about.version for about in distributions(path=[str(packages)])}
