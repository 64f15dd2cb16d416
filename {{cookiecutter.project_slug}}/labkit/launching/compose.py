"""Composes the members of a sweep: 50 ms for the first one of each choice of files, and 10 ms for the others.

Hydra reads all files again for every member. Here members that choose the same files share what these files give, and
differ in the values that are set on it, which is what Hydra does last, too.
"""

import copy
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
        self._loader = loader
        self._sweep = sweep
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._groups: dict[str, bool] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """One member's configuration, Hydra's node included. Raises what Hydra raises."""
        values: list[Override] = []
        others: list[str] = []
        for text, override in zip(overrides, self.parser.parse_overrides(list(overrides)), strict=True):
            if self._only_sets_a_value(override):
                values.append(override)
            else:
                others.append(text)
        config = copy.deepcopy(self._base(tuple(others)))
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value())
        except OmegaConfBaseException:  # Hydra itself says what is wrong
            return self._loader.load_sweep_config(self._sweep, list(overrides))
        config.hydra.overrides.task = list(overrides)
        return config

    def _base(self, overrides: tuple[str, ...]) -> DictConfig:
        if overrides not in self._bases:
            self._bases[overrides] = self._loader.load_sweep_config(self._sweep, list(overrides))
        return self._bases[overrides]

    def _only_sets_a_value(self, override: Override) -> bool:
        key = override.key_or_group
        if override.type is not OverrideType.CHANGE or override.package is not None or override.is_hydra_override():
            return False
        if key not in self._groups:
            self._groups[key] = bool(self._loader.get_group_options(key))
        return not self._groups[key]
