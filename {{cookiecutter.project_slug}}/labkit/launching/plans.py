"""What a sweep was meant to run, written into its study: a member that never ran is missed by status and report."""

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from labkit.launching.member import Member, Refused
from labkit.runs.files import PLANS, read_json, write_json


def write_plans(members: Sequence[Member | Refused]) -> None:
    """<study>/.sweeps/<id>.json, for every study in which the sweep runs anything."""
    command = shlex.join(["python", *(word for word in sys.argv if not word.lstrip("+").startswith("restart="))])
    for study in {m.folder.path.parent for m in members if m.folder and m.status != "refused"}:
        here = [m for m in members if m.folder is None or m.folder.path.parent == study]
        planned = [_planned(member) for member in here]
        identity = hashlib.sha256(json.dumps(sorted(m.overrides for m in here)).encode()).hexdigest()[:12]
        path = study / PLANS / f"{identity}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"format": 1, "command": command, "members": planned})
        for other in path.parent.glob("*.json"):
            names = {m["name"] for m in (read_json(other) or {}).get("members", [])}
            if other != path and None in names and names <= {None, *(m["name"] for m in planned)}:
                other.unlink(missing_ok=True)  # a sweep with a mistake in it, and this one has all the runs it named


def _planned(member: Member | Refused) -> dict[str, Any]:
    accounted_for = member.job or member.status in ("finished", "interrupted")
    return {
        "name": member.folder and member.folder.path.name,
        "overrides": member.overrides,
        "job": member.job,
        "error": None if accounted_for else member.reason,
    }
