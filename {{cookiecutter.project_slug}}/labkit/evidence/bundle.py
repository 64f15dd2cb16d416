"""One archive with all that a study rests on: code, environment, configurations, runs, report. The same study gives the
same bytes."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from labkit.evidence.anonymous import hide_names
from labkit.evidence.code import restore_code
from labkit.evidence.compare import Recorded, read_recorded
from labkit.evidence.crate import crate
from labkit.runs.code_files import SETTINGS, code_files, copy_code, copy_files, id_of, settings_files
from labkit.runs.files import COPIES, DISCARDED, PLANS, folder_beside
from labkit.runs.folder import RunFolder
from labkit.runs.provenance import ROOT
from labkit.runs.study import find_studies, read_study
from labkit.text import counted

BESIDE = ("docs", "tests", "README.md", "LICENSE", "Makefile", "make.py", "run_all_tasks.sh", "CITATION.cff")
LOCK = "env_setup/lock.txt"
SUMS = "SHA256SUMS"
GUIDE = """# {study}: code, runs and report

The report is `data/reports/{study}/report.pdf`, and `report.html` for a browser.
With {python} and make, in this folder:

    sha256sum --check {sums}   # is everything as it was?
    make report                    # the report again, from the logs, in seconds
    make reproduce members=1       # trains a run again: does it come out the same?

`{lock}` has the exact versions of the packages, and `data/runs/{study}/` a folder for each run:
its configuration, its metrics, and in `run.json` its command, machine and data.
`make reproduce` needs the data; `runs/prepare.py` makes or fetches what `config/prepare.yaml` lists.
{hidden}"""
HIDDEN = "Names, paths, addresses and commits have been replaced.\n"


@dataclass
class BundleConfig:
    study: str | None
    checkpoints: bool
    anonymous: bool
    runs_dir: str
    bundles_dir: str


def bundle(config: BundleConfig) -> None:
    """Writes <bundles_dir>/<study>.zip. ValueError where no run has finished, or a file holds what looks like a
    secret."""
    found = find_studies([config.runs_dir], config.study)
    if len(found) > 1:
        raise ValueError(f"study: name one of {', '.join(found)}, as in study={min(found)}")
    ((study, (folder,)),) = found.items()
    ended = [read_recorded(run.path) for run in read_study(folder).ended]
    if not ended:
        raise ValueError(f"study: no run of {study} has finished; nothing can be shown yet")
    target = Path(config.bundles_dir) / f"{study}{'-anonymous' * config.anonymous}.zip"
    with folder_beside(target) as place:
        root = place / study
        _collect_code(root, ended, place)
        _collect_runs(root / "data" / "runs" / study, folder, config.checkpoints)
        (root / LOCK).write_text(_lock(ended), encoding="utf-8")
        if config.anonymous:
            hide_names(root, ended)
        python = f"Python {ended[0].launches[-1]['python']}"
        words = {"study": study, "python": python, "sums": SUMS, "lock": LOCK, "hidden": HIDDEN * config.anonymous}
        (root / "BUNDLE.md").write_text(GUIDE.format(**words), encoding="utf-8")
        _make_report(root)
        (root / "ro-crate-metadata.json").write_text(crate(root, study), encoding="utf-8")
        files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
        sums = [f"{_sha256(path)}  {path.relative_to(root).as_posix()}\n" for path in files]
        (root / SUMS).write_text("".join(sums), encoding="utf-8")
        with zipfile.ZipFile(place / target.name, "w") as archive:
            for path in [*files, root / SUMS]:
                _add(archive, path, path.relative_to(place).as_posix())
        (place / target.name).replace(target)
    print(f"{target}: {counted(len(files), 'file')}, {target.stat().st_size / 1e6:.1f} MB")


def _collect_code(root: Path, ended: list[Recorded], place: Path) -> None:
    """The project as it is now, and beside the runs the code of those that ran another one."""
    files = code_files(ROOT) | settings_files(ROOT, (*SETTINGS, *BESIDE))
    copy_files({name: path for name, path in files.items() if not name.startswith("config/local/")}, root)
    places = root / "config" / "system" / "default.yaml"
    text = re.sub(r"(?m)^(runs|datasets)_dir:.*", r"\1_dir: data/\1", places.read_text(encoding="utf-8"))
    places.write_text(text, encoding="utf-8")
    others = {run.launches[-1]["code_id"]: run for run in ended if run.launches[-1]["code_id"] != id_of(ROOT)}
    for code_id, run in others.items():
        code = place / code_id / "code"
        code.mkdir(parents=True)
        try:
            restore_code(run.folder.path, run.launches[-1], code)
        except ValueError as error:
            print(f"warning: {error}; nobody can reproduce the runs of this code from the bundle")
            continue
        copy_code(code, root / "data" / "runs" / COPIES / code_id)


def _collect_runs(target: Path, study: Path, checkpoints: bool) -> None:
    names = ("best.pt", "last.pt") if checkpoints else ()
    of_runs = [file for folder in sorted(study.iterdir()) for file in RunFolder(folder).written()]
    for file in [*of_runs, *study.glob(f"{PLANS}/*.json"), *study.glob(f"{DISCARDED}/*.json")]:
        if file.parent.name not in ("checkpoints", "tensorboard") or file.name in names:
            (target / file.relative_to(study)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / file.relative_to(study))


def _lock(ended: list[Recorded]) -> str:
    """What env_setup/requirements*.txt ask for, and all that these need, in the versions that most runs had."""
    ((packages, runs),) = Counter(tuple(run.launches[-1]["packages"].items()) for run in ended).most_common(1)
    versions = {_plain(name): version for name, version in packages}
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "env_setup").glob("requirements*.txt"))]
    asked = [line for text in texts for line in text.splitlines() if line[:1].isalnum()]
    found: dict[str, str] = {}
    while asked:
        name = _plain(re.split(r"[^\w.-]", asked.pop())[0])
        if name in versions and name not in found:
            found[name] = versions[name].partition("+")[0]
            with suppress(metadata.PackageNotFoundError):
                asked += [line for line in metadata.requires(name) or [] if "extra ==" not in line]
    head = f"# The packages of {runs} of {counted(len(ended), 'finished run')}.\n"
    return head + "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _make_report(root: Path) -> None:
    """By the bundle's own code from its own logs, as `make report` does there, where no git knows of it."""
    words = [sys.executable, str(root / "runs" / "report.py")]
    variables = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "GIT_CEILING_DIRECTORIES": str(root.resolve().parent)}
    made = subprocess.run(words, env=variables, capture_output=True, encoding="utf-8", errors="replace")
    if made.returncode:
        print(made.stderr, end="", file=sys.stderr)
        raise ValueError("the report cannot be made from what the bundle holds: see above")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    about = zipfile.ZipInfo(name)  # of 1980
    about.compress_type = zipfile.ZIP_DEFLATED
    about.create_system = 3  # Unix, whose rights are these
    about.external_attr = (0o100755 if path.suffix == ".sh" else 0o100644) << 16
    about.file_size = path.stat().st_size
    with archive.open(about, "w") as packed, path.open("rb") as file:
        shutil.copyfileobj(file, packed)
