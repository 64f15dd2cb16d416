"""What an editor knows of a project: its settings, and schemas that accept every file and refuse a misspelt key."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import PROJECT, TEMPLATE

STUDY = TEMPLATE / PROJECT
SETTINGS = json.loads((STUDY / ".vscode/settings.json").read_text(encoding="utf-8"))
SCHEMAS = SETTINGS["yaml.schemas"]
FILES = [
    (file, schema) for schema, patterns in SCHEMAS.items() for each in patterns for file in sorted(STUDY.glob(each))
]
KINDS: dict[str, Any] = {
    **{"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)},
    **{"boolean": bool, "null": type(None)},
}


def refused(value: Any, schema: dict[str, Any], key: str = "") -> list[str]:
    """The keys that a JSON schema refuses, as far as ours go."""
    words = {"type", "enum", "pattern", "properties", "additionalProperties", "items"}
    assert set(schema) <= words
    kinds = schema.get("type", list(KINDS))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    fits = any(isinstance(value, KINDS[kind]) and (kind == "boolean") >= isinstance(value, bool) for kind in kinds)
    if not fits or value not in schema.get("enum", [value]):
        return [key]
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return [key]
    if isinstance(value, list):
        return [found for one in value for found in refused(one, schema.get("items", {}), key)]
    known = schema.get("properties", {})
    if not isinstance(value, dict) or schema.get("additionalProperties", True):
        return []
    return [found for name in value for found in (refused(value[name], known[name], name) if name in known else [name])]


@pytest.mark.parametrize(("file", "schema"), FILES, ids=lambda it: it.stem if isinstance(it, Path) else "")
def test_every_file_fits_its_schema_and_a_mistake_does_not(file: Path, schema: str) -> None:
    known = json.loads((STUDY / schema).read_text(encoding="utf-8"))
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    assert refused(content, known) == []
    assert refused({**content, "epoch": 1}, known) == ["epoch"]
    for key, value in content.items():
        if key in known["properties"] and not isinstance(value, str | dict | list):
            changed = copy.deepcopy(content) | {key: [["no such thing"]]}
            assert refused(changed, known) == [key]


def test_choices_and_values_that_come_later() -> None:
    training = json.loads((STUDY / ".vscode/schemas/training.json").read_text(encoding="utf-8"))
    assert refused({"precision": "bf16", "direction": None, "epochs": "${training.steps}"}, training) == []
    assert refused({"precision": "fp8", "epochs": "many", "compile": 1}, training) == ["precision", "epochs", "compile"]
    train = json.loads((STUDY / ".vscode/schemas/train.json").read_text(encoding="utf-8"))
    assert refused({"training": {"batchsize": 1}}, train) == ["batchsize"]


def test_every_pattern_finds_a_file_and_every_debug_configuration_starts_one() -> None:
    own = "config/local/default.yaml"  # not in git
    patterns = {pattern for those in SCHEMAS.values() for pattern in those}
    assert {pattern for pattern in patterns if not list(STUDY.glob(pattern))} <= {own}
    assert {path.relative_to(STUDY).as_posix() for path in STUDY.glob(".vscode/schemas/*")} == set(SCHEMAS)
    launches = json.loads((STUDY / ".vscode/launch.json").read_text(encoding="utf-8"))["configurations"]
    assert [(one["request"], one.get("module")) for one in launches] == [
        ("launch", None),
        ("launch", "pytest"),
        ("attach", None),
    ]
    assert (STUDY / launches[0]["program"].removeprefix("${workspaceFolder}/")).exists()
