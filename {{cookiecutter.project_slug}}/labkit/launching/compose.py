"""Composes the members of a sweep, 50 ms for the first one of each choice of files and 10 ms for the others.

Hydra reads all files again for every member. Here members that choose the same files share what these files give, and
differ in the values that are set on it, which Hydra too does last.
"""

import copy
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig


class Composer:
    """`loader.load_sweep_config(sweep, overrides)`, for many members."""

    def __init__(self, loader: Any, sweep: DictConfig) -> None:
        self._loader = loader
        self._sweep = sweep
        self._parser = OverridesParser.create(config_loader=loader)
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: list[str]) -> DictConfig:
        """One member's configuration, Hydra's node included. Raises what Hydra raises."""
        parsed = self._parser.parse_overrides(overrides)
        files = tuple(str(o.input_line) for o in parsed if self._loader.repository.group_exists(o.key_or_group))
        if files not in self._bases:
            self._bases[files] = self._loader.load_sweep_config(self._sweep, list(files))
        config = copy.deepcopy(self._bases[files])
        values = [o for o in parsed if o.input_line not in files]
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        config.hydra.overrides.task = overrides
        return config
