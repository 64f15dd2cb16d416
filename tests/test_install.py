"""pip, uv and conda install what the requirements list, with torch for CPU or for CUDA."""

import ast
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pip
import pytest
import yaml
from baking import PROJECT, TEMPLATE, command, read_toml, succeed
from package_index import package_index

ENV_SETUP = TEMPLATE / PROJECT / "env_setup"
INSTALL = ENV_SETUP / "install.py"
PYPROJECT = TEMPLATE / PROJECT / "pyproject.toml"
PYTORCH = "https://download.pytorch.org/whl"
VERSIONS = "import importlib.metadata as m; print(*sorted(f'{d.name}=={d.version}' for d in m.distributions()))"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torch for CPU is a build of its own on Linux only")


def pinned(name: str) -> list[str]:
    """The packages of a file of requirements, without its comments."""
    lines = (ENV_SETUP / name).read_text(encoding="utf-8").splitlines()
    return [line.split(" #")[0].strip() for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    listed = [*pinned("requirements.txt"), *pinned("requirements-dev.txt")]
    packages = {
        "pypi": [package.replace("[nodejs]", "") for package in listed],
        "cpu": ["torch==2.13.0+cpu"],
        "cu130": ["torch==2.13.0+cu130"],
    }
    with package_index(tmp_path_factory.mktemp("index"), packages) as address:
        yield address


def test_uv_takes_torch_from_where_pip_does() -> None:
    told = read_toml(PYPROJECT)
    assert told["project"]["optional-dependencies"] == {"cpu": ["torch==2.13.0"], "cuda": ["torch==2.13.0"]}
    builds = re.search(r"^BUILDS = (.*)$", INSTALL.read_text(encoding="utf-8"), re.MULTILINE)
    uv = told["tool"]["uv"]
    assert all(place["explicit"] for place in uv["index"])
    addresses = {place["name"]: place["url"] for place in uv["index"]}
    sources = {
        (re.sub(r"sys_platform == '(\w+)'", r"\1", source["marker"]), source["extra"]): addresses[source["index"]]
        for source in uv["sources"]["torch"]
    }
    assert builds
    assert sources == {key: f"{PYTORCH}/{build}" for key, build in ast.literal_eval(builds[1]).items()}


def test_conda_makes_a_venv_that_make_keeps() -> None:
    told = yaml.safe_load((ENV_SETUP / "environment.yml").read_text(encoding="utf-8"))
    python, installer, packages = told["dependencies"]
    assert installer == "pip"
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", read_toml(PYPROJECT)["project"]["requires-python"]).groups()  # pyright: ignore[reportOptionalMemberAccess]
    assert int(low) <= int(python.removeprefix("python=3.")) < int(high)
    assert packages == {"pip": ["-r requirements.txt", "-r requirements-dev.txt"]}


def test_uv_installs_torch_for_cpu_or_for_cuda(index: str, tmp_path: Path) -> None:
    text = PYPROJECT.read_text(encoding="utf-8").replace(PYTORCH, index)
    (tmp_path / "pyproject.toml").write_text(re.sub(r'^name = "{{.*', 'name = "study"', text, flags=re.MULTILINE))
    env = {"UV_DEFAULT_INDEX": f"{index}/pypi", "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_CONFIG": "1"}
    env |= {"UV_PYTHON": sys.executable, "UV_FIND_LINKS": "", "UV_INDEX": "", "VIRTUAL_ENV": ""}
    for extra, torch in (("cpu", "torch==2.13.0+cpu"), ("cuda", "torch==2.13.0")):
        succeed("uv", "sync", "--extra", extra, cwd=tmp_path, **env)
        installed = succeed(tmp_path / ".venv" / "bin" / "python", "-c", VERSIONS, cwd=tmp_path).split()
        assert torch in installed
        assert {*pinned("requirements.txt")} - {"torch==2.13.0"} < {*installed}
        assert succeed("uv", "run", "python", "-c", VERSIONS, cwd=tmp_path, **env).split() == installed
    both = command("uv", "sync", "--extra", "cpu", "--extra", "cuda", cwd=tmp_path, **env)
    assert both.returncode
    assert "incompatible" in both.stderr


def test_pip_installs_torch_for_the_machine_or_as_it_is_told(index: str, tmp_path: Path) -> None:
    succeed(sys.executable, "-m", "venv", "--without-pip", ".venv", cwd=tmp_path)
    (packages,) = (tmp_path / ".venv" / "lib").glob("python*/site-packages")
    (packages / "pip").symlink_to(Path(pip.__file__).parent)  # with its bytecode
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\nrich==15.0.0 # words\n", encoding="utf-8")
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    env = {"PATH": os.pathsep.join([str(driver.parent), os.environ["PATH"]]), "PIP_INDEX_URL": f"{index}/pypi"}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_NO_CACHE_DIR": "1"}
    env |= {"TORCH_INDEX": index}

    def install(torch: str, driver_answers: bool = False, **changed: str) -> tuple[str, str]:
        """What was said, and which torch is there then."""
        driver.write_text(f"#!/bin/sh\nexit {int(not driver_answers)}\n")
        driver.chmod(0o755)
        ran = command(sys.executable, INSTALL, torch, "requirements.txt", cwd=tmp_path, **(env | changed))
        installed = {about.name: about.version for about in distributions(path=[str(packages)])}
        assert ran.returncode or installed["rich"] == "15.0.0"
        return ran.stdout + ran.stderr, installed.get("torch", "none")

    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    said, torch = install("cpu", TORCH_INDEX=nowhere)
    wanted = f"error: torch==2.13.0+cpu could not be had from {nowhere}/cpu; try again, or write TORCH=auto\n"
    assert (said.endswith(wanted), torch) == (True, "none")
    said, torch = install("auto", TORCH_INDEX=nowhere)
    assert f"\nnote: torch could not be had from {nowhere}/cpu; PyPI's is taken, for another device\n" in said
    assert torch == "2.13.0"
    assert install("cpu")[1] == "2.13.0+cpu"
    said, torch = install("auto", driver_answers=True)
    assert said == "Installing into .venv, with torch for CUDA: up to 3 GB to download, a few minutes.\n"
    assert torch == "2.13.0+cpu"  # it was there
    assert install("cuda")[1] == "2.13.0"
    shutil.rmtree(packages / "torch-2.13.0.dist-info")
    said, torch = install("auto")
    assert said == "Installing into .venv, with torch for CPU: up to 0.5 GB to download, a few minutes.\n"
    assert torch == "2.13.0+cpu"
