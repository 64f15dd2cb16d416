"""Writes .vscode/schemas/, by which an editor checks config/ and studies/: python runs/schema.py"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

HYDRA = {"defaults": {"type": "array"}, "hydra": {"type": "object"}}


def schemas() -> dict[str, dict[str, Any]]:
    """By name; .vscode/settings.json says which files each one is for."""
    from labkit.reporting.analysis.study_file import StudyFile
    from labkit.reporting.report import ReportConfig
    from labkit.schema import schema
    from modules.config import CHOICES, EvaluateConfig, SystemConfig, TrainConfig, TrainingConfig

    of_commands = {"train": TrainConfig, "evaluate": EvaluateConfig, "report": ReportConfig}
    made = {name: schema(contract, CHOICES if name == "train" else {}) for name, contract in of_commands.items()}
    for about in made.values():
        about["properties"] |= HYDRA
    made |= {"training": schema(TrainingConfig, CHOICES), "system": schema(SystemConfig, {})}
    made["study"] = schema(StudyFile, {"direction": ("max", "min"), "select": ("best", "last")})
    del made["study"]["properties"]["digest"]  # which is of the file
    return made


def text(about: dict[str, Any]) -> str:
    return json.dumps(about, indent=1) + "\n"


if __name__ == "__main__":
    for name, about in schemas().items():
        (ROOT / ".vscode" / "schemas" / f"{name}.json").write_text(text(about), encoding="utf-8")
