"""Composes the members of a sweep: 50 ms for the first one of each choice of files, and 10 ms for the others.

Hydra reads all files again for every member. Here members that choose the same files share what these files give, and
differ in the values that are set on it, which is what Hydra does last, too.
"""

import copy
import functools
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class Composer:
    """`loader.load_sweep_config(sweep, overrides)`, for many members."""

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        self.parser = OverridesParser.create(config_loader=loader)
        self._load = functools.cache(lambda *overrides: loader.load_sweep_config(sweep, list(overrides)))
        self._choices = functools.cache(loader.get_group_options)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """One member's configuration, Hydra's node included. Raises what Hydra raises."""
        parsed = self.parser.parse_overrides(list(overrides))
        values = [override for override in parsed if self._only_sets_a_value(override)]
        config = copy.deepcopy(self._load(*(str(o.input_line) for o in parsed if o not in values)))
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value())
        except OmegaConfBaseException:
            return self._load(*overrides)  # raises, and says better what is wrong
        config.hydra.overrides.task = list(overrides)
        return config

    def _only_sets_a_value(self, override: Override) -> bool:
        changes = override.type is OverrideType.CHANGE and override.package is None
        return changes and not override.is_hydra_override() and not self._choices(override.key_or_group)
