"""Makes .venv in the folder where it is started, and installs the packages of the study: `make install` calls it.

    python env_setup/install.py [auto|cpu|cuda] [FILE OF REQUIREMENTS]...

auto means torch for CPU on a machine without an NVIDIA driver, and for CUDA elsewhere. It keeps a torch that is there.
Only the standard library and old syntax, so that a Python which is too old says so in a sentence.
"""

import os
import re
import subprocess
import sys
from importlib import util
from pathlib import Path

PYTHON = Path(".venv", "Scripts", "python.exe") if os.name == "nt" else Path(".venv", "bin", "python")
HERE = Path(__file__).resolve().parent
FILES = [str(HERE / name) for name in ("requirements.txt", "requirements-dev.txt")]
# PyPI has torch for CUDA on Linux, and for CPU elsewhere. PyTorch's own index has the others, or your mirror of it.
INDEX = os.environ.get("TORCH_INDEX", "https://download.pytorch.org/whl")
BUILDS = {("linux", "cpu"): "cpu", ("win32", "cuda"): "cu130"}


def main(torch: str = "auto", *files: str) -> int:
    if torch not in ("auto", "cpu", "cuda"):
        sys.exit(f"error: TORCH={torch}: write cpu, cuda or auto")
    if torch == "cuda" and sys.platform == "darwin":
        sys.exit("error: TORCH=cuda: there is no CUDA for macOS; write cpu or auto")
    if not PYTHON.exists():
        check_python()
        if subprocess.call([sys.executable, "-m", "venv", ".venv"]):
            return 1
    if not os.path.samefile(sys.prefix, ".venv"):
        return subprocess.call([str(PYTHON), __file__, torch, *files])
    check_python()
    if not util.find_spec("pip") and subprocess.call([sys.executable, "-m", "ensurepip"]):  # uv makes a .venv without
        return 1
    return install(torch, *(files or FILES))


def check_python() -> None:
    """Exits unless this Python can run Hydra 1.3 and the packages that are pinned."""
    version = sys.version_info[:2]
    if not (3, 11) <= version < (3, 14):
        sys.exit(
            f"error: {sys.executable} is Python {version[0]}.{version[1]}, and this needs 3.11 to 3.13; "
            "try make PYTHON=python3.12, without a .venv of another"
        )


def install(torch: str, *files: str) -> int:
    kind = torch
    if torch == "auto":
        kind = "cuda" if has_driver() else "cpu"
    size = "0.5 GB" if kind == "cpu" else "3 GB"
    print(f"Installing into .venv, with torch for {kind.upper()}: up to {size} to download, a few minutes.", flush=True)
    found = re.search(r"^torch==([\w.]+)", "\n".join(Path(file).read_text("utf-8") for file in files), re.MULTILINE)
    there = installed_torch()
    build = BUILDS.get((sys.platform, kind))
    if found and build and (torch != "auto" or there.partition("+")[0] != found[1]):
        wanted = found[0] + f"+{build}" * (torch != "auto")
        index = f"{INDEX}/{build}"
        if pip("install", "--no-deps", "--retries=2", "--timeout=15", f"--index-url={index}", wanted):
            if torch != "auto":
                sys.exit(f"error: {wanted} could not be had from {index}; try again, or write TORCH=auto")
            print(f"note: torch could not be had from {index}; PyPI's is taken, for another device", flush=True)
    elif torch != "auto" and not build and "+" in there:
        pip("uninstall", "--yes", "torch")  # pip would take it for the one that PyPI has
    return pip("install", *(f"--requirement={file}" for file in files))


def has_driver() -> bool:
    """Whether an NVIDIA driver answers."""
    try:
        return subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0
    except OSError:
        return False


def installed_torch() -> str:
    """The version, such as 2.13.0+cpu; nothing where there is no torch."""
    from importlib import metadata  # not in a Python that is to be refused

    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


def pip(command: str, *words: str) -> int:
    quiet = [] if sys.stdout.isatty() else ["--quiet"]  # who watches sees what is fetched, and how far it is
    return subprocess.call([sys.executable, "-m", "pip", command, *quiet, *words])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
