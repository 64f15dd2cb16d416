"""What other tools read of a bundle: ro-crate-metadata.json (RO-Crate 1.3, a Process Run Crate)."""

import json
from pathlib import Path
from typing import Any

import yaml

from labkit.runs.files import CONFIG, METRICS, RESULT, read_json

CRATE = "https://w3id.org/ro/crate/1.3"
PROFILE = "https://w3id.org/ro/wfrun/process/0.6"
NAMES = ("name", "given-names", "family-names")  # of an author in CITATION.cff


def crate(root: Path, study: str) -> str:
    """The JSON: the study, and for each run an action that made its results from its configuration and data."""
    file = root / "CITATION.cff"
    cited = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    if not isinstance(cited, dict) or not {"title", "authors"} <= cited.keys():
        raise ValueError("CITATION.cff: a bundle needs this file, with a title and authors; add them")
    names = [" ".join(one[key] for key in NAMES if one.get(key)) for one in cited["authors"]]
    authors = [_entity(f"#author-{n}", "Person", name=name) for n, name in enumerate(names)]
    found = {path.parent.name: read_json(path) for path in sorted((root / "data/runs" / study).glob(f"*/{RESULT}"))}
    runs = {name: run for name, run in found.items() if run}  # a damaged one counts as not finished
    parts = [_file(name) for name in ("runs/train.py", "LICENSE", "CITATION.cff") if (root / name).exists()]
    parts[0]["@type"] = ["File", "SoftwareSourceCode", "SoftwareApplication"]
    parts += [_file(f"data/reports/{study}/{name}") for name in ("report.pdf", "report.html", "runs.csv")]
    data = {}
    actions = []
    for name, run in runs.items():
        folder = f"data/runs/{study}/{name}/"
        config, metrics, result = files = [_file(folder + file) for file in (CONFIG, METRICS, RESULT)]
        about = _entity(f"#data-{run['data']['fingerprint']}", "CreativeWork", name=run["data"]["name"])
        data[about["@id"]] = about
        parts += [_entity(folder, "Dataset", name=name, hasPart=_ids(files)), *files]
        times = {"startTime": run["launches"][0]["started"], "endTime": run["finished"]}
        what = {"instrument": _ids(parts[:1])[0], "object": _ids([config, about]), "result": _ids([metrics, result])}
        status = "http://schema.org/CompletedActionStatus"
        actions.append(_entity(f"#run-{name}", "CreateAction", name=name, **what, **times, actionStatus=status))
    own = {"name": cited["title"], "description": cited.get("abstract", study), "author": _ids(authors)}
    own |= {"datePublished": max(run["finished"] for run in runs.values()), "conformsTo": {"@id": PROFILE}}
    own |= {"license": {"@id": "LICENSE"} if (root / "LICENSE").exists() else "none: all rights reserved"}
    top = [part for part in parts if not part["@id"].startswith("data/runs/") or part["@type"] == "Dataset"]
    graph = [
        _entity("ro-crate-metadata.json", "CreativeWork", conformsTo={"@id": CRATE}, about={"@id": "./"}),
        _entity("./", "Dataset", **own, hasPart=_ids(top), mentions=_ids(actions)),
        _entity(PROFILE, "CreativeWork", name="Process Run Crate", version="0.6"),
        *(*authors, *parts, *data.values(), *actions),
    ]
    return json.dumps({"@context": f"{CRATE}/context", "@graph": graph}, indent=1, ensure_ascii=False)


def _entity(id: str, type: str, **about: Any) -> dict[str, Any]:
    return {"@id": id, "@type": type, **about}


def _file(name: str) -> dict[str, Any]:
    return _entity(name, "File", name=name.rpartition("/")[2])


def _ids(entities: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": entity["@id"]} for entity in entities]
