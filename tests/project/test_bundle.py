"""What a bundle holds; tests/test_unpacked.py unpacks one elsewhere and uses it."""

import hashlib
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit.evidence.bundle import BundleConfig, bundle
from labkit.evidence.crate import crate
from rocrate.rocrate import ROCrate
from run_folders import add_run, add_unfinished, change_record, launch


def made(tmp_path: Path, **given: Any) -> list[str]:
    settings: dict[str, Any] = {
        "study": None,
        "checkpoints": False,
        "anonymous": False,
        "runs_dir": str(tmp_path / "runs"),
    }
    bundle(BundleConfig(**{**settings, **given}, bundles_dir=str(tmp_path / "bundles")))
    with zipfile.ZipFile(tmp_path / "bundles" / "depth.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
        return archive.namelist()


def finished(study: Path, seed: int) -> Path:
    folder = add_run(study, seed=seed)
    packages = {"torch": "2.13.0+cpu", "Hydra_Core": "1.3.8", "omegaconf": "2.3.1", "unrelated": "1.0"}
    change_record(folder, launches=[{**launch(), "data_fingerprint": "d1", "packages": packages}])
    for name in (
        "checkpoints/best.pt",
        "checkpoints/previous.pt",
        "tensorboard/events.out.tfevents.1.host",
        "mine.txt",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"0")
    return folder


def test_a_bundle_holds_what_a_study_rests_on_and_nothing_else(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [finished(study, seed).name for seed in range(2)]
    add_unfinished(study, "failed", seed=2, reason="the loss ran away")
    names = made(tmp_path, checkpoints=True)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        f"warning: {study / runs[1]}: the code that ran cannot be restored: git does not give back "
    )
    root = tmp_path / "unpacked" / "depth"
    below = {name.removeprefix("depth/") for name in names}
    assert {path for path in below if runs[0] in path and not path.startswith("data/reports/")} == {
        f"data/runs/depth/{runs[0]}/{name}"
        for name in ("run.json", "config.yaml", "metrics.csv", "checkpoints/best.pt")
    }
    assert {
        "modules/train.py",
        "config/train.yaml",
        "studies/sweep_models.yaml",
        "Makefile",
        "docs/question.md",
    } <= below
    assert {"data/reports/depth/report.pdf", "data/reports/depth/runs.csv", "BUNDLE.md", "LICENSE"} <= below
    assert not [name for name in below if re.search(r"__pycache__|^config/local/|^data/(?!runs|reports)|^\.", name)]
    assert "the loss ran away" in (root / "data" / "reports" / "depth" / "report.html").read_text(encoding="utf-8")
    sums = (root / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    there = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in below - {"SHA256SUMS"}}
    assert sums == [f"{there[name]}  {name}" for name in sorted(there, key=Path)]
    lock = (root / "env_setup" / "lock.txt").read_text(encoding="utf-8").splitlines()
    assert lock == ["# The packages of 2 of 2 finished runs.", "hydra-core==1.3.8", "omegaconf==2.3.1", "torch==2.13.0"]
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "abstract"} <= cited.keys()
    read: Any = ROCrate(str(root))
    assert read.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.3"
    assert [action["instrument"].id for action in read.root_dataset["mentions"]] == ["runs/train.py"] * 2
    files = [entity.id for entity in read.get_entities() if entity.type == "File"]
    assert {f"data/runs/depth/{run}/metrics.csv" for run in runs} <= {*files}
    assert [name for name in files if not (root / name).exists()] == []


def test_what_cannot_be_bundled(study: Path, tmp_path: Path) -> None:
    add_unfinished(study, "failed")
    with pytest.raises(ValueError, match=r"^study: no run of depth has finished; nothing can be shown yet$"):
        made(tmp_path)
    add_run(study.parent / "width")
    with pytest.raises(ValueError, match=r"^study: name one of depth, width, as in study=depth$"):
        made(tmp_path)
    assert not list((tmp_path / "bundles").glob("*"))


def test_your_own_citation_counts(study: Path, tmp_path: Path) -> None:
    finished(tmp_path / "data" / "runs" / "depth", 0)
    own = tmp_path / "CITATION.cff"
    own.write_text("title: Mine\nauthors: [{given-names: Jane, family-names: Smith}]\n", encoding="utf-8")
    assert '"name": "Jane Smith"' in crate(tmp_path, "depth")
    own.write_text("title: Mine\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"^CITATION\.cff: a bundle needs this file, with a title and authors; add them$"
    ):
        crate(tmp_path, "depth")
