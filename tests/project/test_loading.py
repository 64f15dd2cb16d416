"""What cannot come back as it was is refused; that a finished run does is held by the project's own tests."""

import json
import shutil
from pathlib import Path

import pytest
from modules.loading import load_run
from small_runs import SMALL_LINEAR, train_small


def test_what_cannot_be_loaded_is_one_sentence(runs_dir: Path) -> None:
    folder = train_small(runs_dir, base=SMALL_LINEAR)
    with pytest.raises(ValueError, match=r"holds no finished run \(no run\.json\)"):
        load_run(folder.parent)
    other = shutil.copytree(folder, folder.with_name("other"))
    record = json.loads((other / "run.json").read_text())
    record["data"]["fingerprint"] = "0" * 16
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="was trained on other data"):
        print(load_run(other).data)
    (folder / "config.yaml").unlink()
    with pytest.raises(ValueError, match=r"config\.yaml: is missing or not that of a run"):
        load_run(folder)
