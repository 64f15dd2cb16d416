"""Which members a sweep has: the product of everything that its overrides sweep over."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from omegaconf import OmegaConf

from labkit.secrets import refuse_secrets


def overrides_of_members(
    parser: OverridesParser, words: list[str], combinations: Sequence[Mapping[str, Any]] | None, max_jobs: int
) -> list[list[str]]:
    """The overrides of each member, in order, none twice.

    `words` are swept over as a whole for each of the `combinations`. ValueError where there are no members, or more
    than `max_jobs`.
    """
    sweeps = [parsed(parser, [*listed, *words]) for listed in _as_overrides(combinations)]
    n = sum(math.prod(map(_count, sweep)) for sweep in sweeps)
    if n == 0:
        raise ValueError("--multirun: no member; a swept key has no values")
    if n > max_jobs:
        raise ValueError(
            f"hydra.sweeper.max_jobs: the sweep has {n} members, more than {max_jobs}; "
            f"add hydra.sweeper.max_jobs={n} if that is meant"
        )
    members = (member for sweep in sweeps for member in itertools.product(*map(choices, sweep)))
    return [list(member) for member in dict.fromkeys(members)]


def parsed(parser: OverridesParser, words: list[str]) -> list[Override]:
    """One of each key: a later one replaces an earlier one, in the earlier one's place."""
    sweep = parser.parse_overrides(words)
    refuse_secrets({o.key_or_group: (o.input_line or "").partition("=")[2] for o in sweep})
    return list({override.get_key_element(): override for override in sweep}.values())


def _as_overrides(combinations: Any) -> list[list[str]]:
    """[{"model": "net2", "optimizer.lr": 0.1}] as [["model=net2", "optimizer.lr=0.1"]]."""
    if combinations is None:
        return [[]]
    if not combinations or not all(isinstance(settings, Mapping) and settings for settings in combinations):
        raise ValueError("hydra.sweeper.combinations: must be a list of settings, such as [{model: net2, seed: 0}]")
    listed: Any = OmegaConf.to_container(OmegaConf.create(list(combinations)), resolve=False)
    return [[f"{key}={v if isinstance(v, str) else json.dumps(v)}" for key, v in each.items()] for each in listed]


def choices(override: Override) -> list[str]:
    """What one override comes to, one text for each value that it sweeps over."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _count(override: Override) -> int:
    """How many values it has, without making a list of a long range."""
    if not override.is_sweep_override():
        return 1
    if not override.is_discrete_sweep():
        raise ValueError(f"{override.get_key_element()}: an interval has no list of values; use range or choice")
    swept = override.value()
    if isinstance(swept, RangeSweep) and swept.start is not None and swept.stop is not None and swept.step:
        return max(0, math.ceil((swept.stop - swept.start) / swept.step))
    return sum(1 for _ in override.sweep_iterator())
