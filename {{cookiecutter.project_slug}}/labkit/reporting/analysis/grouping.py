"""Which settings vary in a study, and which of its runs differ in nothing but what repeats them: the seed.

Nothing here knows the name of a setting: all are found in the files.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from labkit.reporting.analysis.names import Label, words_for
from labkit.runs.files import CONFIG
from labkit.runs.identity import Neutral
from labkit.runs.identity import settings as settings_of
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run, Study
from labkit.text import alternatives
from labkit.values import canonical, flatten

ABLATION = "ablation"  # no setting, as it only names the settings that it changes, but shown like one
NO_ABLATION = "none"
PROCESSES = "system.processes"  # a batch of each of them: not in the configuration, and a setting all the same
DATA_SET, FRACTION = "data.name", "data.fraction"
OTHER_THAN_TEXT = re.compile(r"|~|null|true|false|[-+]?[\d.][\d._]*(e[-+]?\d+)?", re.IGNORECASE)
Settings = dict[str, Any]  # dotted keys: {"model.name": "net2"}
Repeat = tuple[Any, ...]  # what tells a run from the others of its group: (seed,), or (seed, split_seed)


@dataclass
class Group:
    """The runs that differ in nothing but what repeats them."""

    settings: dict[str, str]  # what varies in this study, as text: {"model": "net2", "training.epochs": "5"}
    shown: dict[str, str]  # the same in the words of people: {"network": "two layers", "training.epochs": "5"}
    label: str  # the group in a sentence
    config: Settings  # all of it, dotted; also "model" for "model.name"
    repeats: dict[Repeat, Run]  # the runs with results, in the order of their seeds
    unfinished: list[Run] = field(default_factory=list)  # same settings, no result
    diverged: list[Repeat] = field(default_factory=list)  # the seeds of those among them that diverged

    @property
    def runs(self) -> list[Run]:
        """The runs with results, by seed."""
        return list(self.repeats.values())

    def has(self, setting: Settings) -> bool:
        """Whether this is a group of {"model": "net2"}, or of whatever keys and values are given."""
        return all(
            key in self.config and as_text(self.config[key]) == as_text(canonical(value))
            for key, value in setting.items()
        )


@dataclass
class Grouping:
    """The runs of a study, by their settings."""

    groups: list[Group]  # in natural order
    varying: list[str]  # names of the settings that vary, beside what repeats a run
    blocks: list[str]  # those of `varying` that say which data was used: settings are compared on the same data only
    constant: dict[str, str]  # settings that are the same in every run with results
    about: dict[str, dict[str, Any]]  # of each run, also one without results: {"model": "net2", "seed": 3}
    strays: dict[str, Settings]  # all settings of each run without results that no group has
    words: dict[str, str]  # for people, in the place of names and values of settings; see `word`

    def word(self, text: str) -> str:
        """What people call the name or the value of a setting."""
        return self.words.get(text, text)


def group_runs(study: Study, repeats: list[str], labels: dict[str, Label]) -> Grouping:
    """A second run of the same settings and seed becomes a duplicate."""
    _check_repeats(study, repeats)
    settings: dict[str, Settings] = {}  # by signature, as the next two
    members: dict[str, list[tuple[Repeat, Run]]] = defaultdict(list)
    ablations: dict[str, set[str]] = defaultdict(set)
    neutral: dict[str, Neutral] = {}
    for run in study.ended:
        neutral |= {key: Neutral(*about) for key, about in run.record.get("neutral", {}).items()}
    for run in study.ended:
        own, repeat = split(run.record["config"], repeats, neutral)
        own[PROCESSES] = run.record["launches"][-1].get("processes") or 1
        signature = _signature(own)
        settings[signature] = own
        members[signature].append((repeat, run))
        if name := run.record["config"].get(ABLATION):
            ablations[signature].add(name)
    shown = settings
    if any(names - {NO_ABLATION} for names in ablations.values()):
        shown = {signature: {ABLATION: _ablation(ablations[signature])} | own for signature, own in settings.items()}
    texts = _texts(list(shown.values()))
    varying = _find_varying(texts)
    keys = varying or ["model.name"]  # where nothing varies, the one row still needs a name
    blocks = [key for key in varying if _tells_data(key, shown, members)]
    by_block = [*blocks, *(key for key in keys if key not in blocks)]
    constant = {
        key: as_text(value)
        for key, value in next(iter(settings.values())).items()
        if key not in keys and len(set(texts[key])) == 1 and (key not in neutral or _has(study.ended, key))
        if (key, value) != (PROCESSES, 1)
    }
    cells = {signature: _cells(own, keys) for signature, own in shown.items()}
    words = words_for(labels, (text for row in (*cells.values(), constant) for pair in row.items() for text in pair))
    groups: dict[str, Group] = {}
    about: dict[str, dict[str, Any]] = {}
    for signature in sorted(shown, key=lambda signature: _order(shown[signature], by_block)):
        own = shown[signature]
        config = {ABLATION: NO_ABLATION} | own | {shorten(key): value for key, value in own.items()}
        row = cells[signature]
        said = {words.get(key, key): words.get(value, value) for key, value in row.items()}
        group = Group(row, said, label_of(row, words), config, _without_duplicates(members[signature]))
        groups[signature] = group
        for repeat, run in members[signature]:
            about[run.name] = group.settings | dict(zip(repeats, repeat, strict=True))
    strays: dict[str, Settings] = {}
    processes = sorted({own[PROCESSES] for own in settings.values()})  # an unfinished run may be of any number
    for run, own, repeat in _unfinished(study, repeats, neutral):
        matching = (groups.get(_signature({**own, PROCESSES: number})) for number in processes)
        group = next(filter(None, matching), None)
        row = group.settings if group else _cells(own, keys)
        about[run.name] = row | dict(zip(repeats, repeat, strict=True))
        if group is None:
            strays[run.name] = own
        else:
            group.unfinished.append(run)
            if run.status == "diverged":
                group.diverged.append(repeat)
    shown_keys = ([shorten(key) for key in part] for part in (varying, blocks))
    return Grouping(list(groups.values()), *shown_keys, constant=constant, about=about, strays=strays, words=words)


def split(config: Settings, repeats: list[str], neutral: Mapping[str, Neutral]) -> tuple[Settings, Repeat]:
    """The settings, and what tells the run from others of the same settings.

    A key that earlier runs lack is at its neutral value there: they are repetitions of newer runs that have it so.
    """
    own = settings_of(config, neutral)
    own |= {key: about.value for key, about in neutral.items() if own.get(key, about.before) == about.before}
    return own, tuple(own.pop(key, None) for key in repeats)


def _tells_data(key: str, settings: dict[str, Settings], members: dict[str, list[tuple[Repeat, Run]]]) -> bool:
    """Whether each value of the key stands for data of its own: another data set, a fraction of it, another file."""
    if key in (DATA_SET, FRACTION) or not key.startswith("data."):
        return key in (DATA_SET, FRACTION)
    fingerprints: dict[str, set[str]] = defaultdict(set)
    for signature, own in settings.items():
        found = {run.record["data"]["fingerprint"] for _, run in members[signature]}
        fingerprints[repr(own.get(key))] |= found
    return sum(map(len, fingerprints.values())) == len(set().union(*fingerprints.values()))


def _has(runs: list[Run], key: str) -> bool:
    """Whether any run was started with the key; of the others we only know what it would have been."""
    return any(key in flatten(run.record["config"]) for run in runs)


def as_text(value: object) -> str:
    """A setting as YAML writes it, never rounded; a text that YAML would take for something else is in quotes."""
    if isinstance(value, str) and not OTHER_THAN_TEXT.fullmatch(value):
        return value
    return json.dumps(value, default=str)


def label_of(settings: dict[str, str], words: dict[str, str]) -> str:
    """net5, lr=0.001: names speak for themselves, other values need the end of their key. `words`: for people."""
    ends = Counter(key.split(".")[-1] for key in settings)
    parts = []
    for key, value in settings.items():
        end = key.split(".")[-1]
        if value and "." in key:
            parts.append(f"{words.get(key) or (end if ends[end] == 1 else key)}={words.get(value, value)}")
        elif value:  # a model may lack a setting of another
            parts.append(words.get(value, value))
    return ", ".join(parts)


def shorten(key: str) -> str:
    """model.name is shown as model."""
    return key.removesuffix(".name")


def seed_text(repeat: Repeat) -> str:
    """3, or 3/0 where a run is told apart by more than its seed."""
    return "/".join(map(as_text, repeat))


def beside(settings: Settings, columns: dict[str, Any]) -> dict[str, Any]:
    """The settings and the columns of a row; a setting that is called like a column is prefixed."""
    return {f"setting.{key}" if key in columns else key: value for key, value in settings.items()} | columns


def _signature(settings: Settings) -> str:
    """Two runs are repetitions of each other only if these are equal; repr tells true from 1, and "1" from 1."""
    return repr(sorted(settings.items()))


def _ablation(names: set[str]) -> str:
    """Settings that were run under several names have all of them; one that changes nothing is the whole."""
    return NO_ABLATION if NO_ABLATION in names or not names else " = ".join(sorted(names))


def _check_repeats(study: Study, repeats: list[str]) -> None:
    known = sorted(flatten(study.ended[0].record["config"]))
    for key in repeats:
        if repeats.count(key) > 1:
            raise ValueError(f"repeats: names {key} twice; name it once")
        if key not in known:
            raise ValueError(f"repeats: no run has a setting {key!r}; {alternatives(key, known)}")


def _texts(configs: list[Settings]) -> dict[str, list[str]]:
    """Of every key its value in each configuration, as text that tells true from 1."""
    every_key: Settings = {}
    for config in configs:
        every_key |= config
    return {key: [repr(config.get(key, ...)) for config in configs] for key in every_key}


def _find_varying(texts: dict[str, list[str]]) -> list[str]:
    """The keys with more than one value, names first.

    Without those that a name already determines: where every net2 has 2 layers and every net5 has 5, a column for the
    layers would say nothing. Ablations have names as well, and so has every section with a `<section>.name`.
    """
    varying = [key for key, values in texts.items() if len(set(values)) > 1]
    shown = []
    for key in varying:
        section = key.split(".", 1)[0] + ".name"
        names = [texts[name] for name in (ABLATION, section) if name in varying and name != key]
        by_name = list(zip(*names, strict=True))
        determined = names and len(set(zip(by_name, texts[key], strict=True))) == len(set(by_name))
        if key == ABLATION or not determined:
            shown.append(key)
    return sorted(shown, key=lambda key: (not key.endswith(".name"), key != ABLATION))


def _without_duplicates(members: list[tuple[Repeat, Run]]) -> dict[Repeat, Run]:
    """The first run of each seed, in the order of the seeds; the others are marked."""
    found: dict[Repeat, Run] = {}
    # Ordered by name as well, so that the same one counts wherever the runs are read.
    for repeat, run in sorted(members, key=lambda member: ([_natural(key) for key in member[0]], member[1].name)):
        first = found.setdefault(repeat, run)
        if first is not run:
            run.status = "duplicate"
            run.reason = f"has the settings and the seed of {first.name}"
    return found


def _unfinished(
    study: Study, repeats: list[str], neutral: Mapping[str, Neutral]
) -> Iterator[tuple[Run, Settings, Repeat]]:
    """The runs without results whose configuration can be read."""
    for run in study.runs:
        if not run.ended and run.status != "duplicate" and (config := _read_config(run)):
            with suppress(RecursionError):  # YAML can refer to itself
                yield run, *split(config, repeats, neutral)


def _read_config(run: Run) -> Settings | None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built
    try:
        config = yaml.load((run.path / CONFIG).read_bytes(), loader)
    except (OSError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) else None


def _cells(own: Settings, keys: list[str]) -> dict[str, str]:
    return {shorten(key): as_text(own[key]) if key in own else "" for key in keys}


def _order(own: Settings, keys: list[str]) -> list[tuple[bool, float, str]]:
    """The whole comes before its ablations."""
    return [_natural("" if key == ABLATION and own[key] == NO_ABLATION else own.get(key, "")) for key in keys]


def _natural(value: object) -> tuple[bool, float, str]:
    """Numbers by size, before text; net2 before net10."""
    if is_number(value):
        return False, float(value), ""
    return True, 0.0, re.sub(r"\d+", lambda digits: digits[0].zfill(12), as_text(value))
