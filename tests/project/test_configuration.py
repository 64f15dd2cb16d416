"""Every entry point has a configuration that fits its schema, and what changes the result is a run's identity.

That every file of config/ can be used is held by the project's own tests.
"""

from dataclasses import asdict, replace
from pathlib import Path

import hydra
import pytest
from labkit.build import build
from labkit.evidence.bundle import BundleConfig
from labkit.evidence.compare import CompareConfig
from labkit.evidence.reproduce import ReproduceConfig
from labkit.launching.entry_point import VERSION_BASE, CheckedTask
from labkit.reporting.report import ReportConfig
from labkit.runs.clean import CleanConfig
from labkit.runs.identity import run_id
from labkit.runs.status import StatusConfig
from labkit.runs.sync import SyncConfig
from labkit.values import flatten
from modules.config import EvaluateConfig, TrainConfig
from modules.data.prepare import PrepareConfig
from small_runs import ROOT, compose, config_of
from torch import nn

CONFIG = ROOT / "config"
SCHEMAS = {"train": TrainConfig, "evaluate": EvaluateConfig, "prepare": PrepareConfig}
SCHEMAS |= {"report": ReportConfig, "status": StatusConfig, "clean": CleanConfig}
SCHEMAS |= {"reproduce": ReproduceConfig, "compare": CompareConfig, "bundle": BundleConfig, "sync": SyncConfig}


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIG.glob("*.yaml") if path.stem != "tool"))
def test_a_local_file_tells_every_entry_point_where_things_are(name: str, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    own = "# @package _global_\nsystem: {runs_dir: /scratch/runs, datasets_dir: /scratch/datasets}\n"
    (tmp_path / "local" / "default.yaml").write_text(own)
    with hydra.initialize_config_dir(str(CONFIG), **VERSION_BASE):
        composed = hydra.compose(name, [f"hydra.searchpath=[{tmp_path.as_uri()}]"], return_hydra_config=True)
    config = CheckedTask(SCHEMAS[name], print).checked(composed, composed.hydra)
    paths = {key: value for key, value in flatten(asdict(config)).items() if key.endswith(("runs_dir", "datasets_dir"))}
    assert paths or name == "compare"  # which is given its folders
    assert all(value.startswith("/scratch/") for value in paths.values())


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIG.glob("*.yaml") if path.stem != "tool"))
def test_the_configuration_of_every_entry_point_passes_its_schema(name: str) -> None:
    assert (ROOT / "runs" / f"{name}.py").exists()
    with hydra.initialize_config_dir(str(CONFIG), **VERSION_BASE):
        composed = hydra.compose(name, return_hydra_config=True)
    assert isinstance(CheckedTask(SCHEMAS[name], print).checked(composed, composed.hydra), SCHEMAS[name])


@pytest.mark.parametrize("name", ["sweep_models", "of_no_file"])
def test_a_study_is_chosen_by_its_name_whether_or_not_it_has_a_file(name: str) -> None:
    assert compose(f"study={name}").study == name


def test_the_name_of_an_ablation_is_no_part_of_a_runs_identity() -> None:
    whole, plain = config_of("+ablation=none"), config_of()
    assert run_id(replace(whole, ablation="none")) == run_id(plain)
    assert run_id(config_of("+ablation=one_hidden_layer")) == run_id(config_of("model.hidden_layers=1"))


SAME = ("study=other", "system.threads=1", "system.loader_workers=1", "tracker=tensorboard", "optimizer.lr=0.0030")
SAME += ("system.checkpoint_minutes=0", "+launcher=joblib", "model.dropout=0", "training.ema_decay=null")
OTHER = (
    "seed=1",
    "training.precision=bf16",
    "training.batch_size=32",
    "training.evaluate_every_epochs=2",
    "model=net5",
)
OTHER += (
    "training.compile=true",
    "data.split_seed=1",
    "data.in_memory=false",
    "model.channels=17",
    "training.epochs=6",
)


def test_what_changes_the_result_is_the_identity_of_a_run_and_nothing_else_is() -> None:
    plain = run_id(config_of())
    assert [override for override in SAME if run_id(config_of(override)) != plain] == []
    assert len({plain, *(run_id(config_of(override)) for override in OTHER)}) == 1 + len(OTHER)


REFUSED = (
    *("os.system", "builtins.eval", "subprocess.Popen", "torch.load", "torch.hub.load", "joblib.load"),
    *("modules.train.os.system", "labkit.runs.provenance.subprocess.Popen", "modules.data.sources.Path"),
    *("labkit.config.typed", "torch.optim.torch.load", "torch.nn.modules.module.torch.hub.load"),
    *("torch.nn.Module.load_state_dict", "torch.nn.init.ones_", "torch.nn.functional.pad", "torch.nn.NoSuchThing"),
    *("torch.optim.Adam", "modules.data.base.Data", "labkit.runs.folder.RunFolder"),
    *("torch.nn.", "modules.", "modules..x", "", "x"),
)


@pytest.mark.parametrize("target", REFUSED)
def test_a_model_that_is_no_module_of_the_project_or_of_torch_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"^model\._target_: .*(is not allowed|there is no|is not a Module of)"):
        build("model", {"_target_": target}, nn.Module)


class TakesOthers(nn.Module):
    def __init__(self, *layers: int, width: int, **others: int) -> None:
        super().__init__()
        self.settings = {"width": width, **others}


def test_a_class_that_takes_any_setting_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modules.models.networks.TakesOthers", TakesOthers, raising=False)
    monkeypatch.setattr(TakesOthers, "__module__", "modules.models.networks")
    node = {"_target_": "modules.models.networks.TakesOthers", "width": 2, "depth": 3}
    assert build("model", node, nn.Module).settings == {"width": 2, "depth": 3}
