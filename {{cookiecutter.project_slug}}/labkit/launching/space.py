"""What a search may choose from: the overrides that sweep, in Hydra's own words, and the conditions of some of them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from labkit.launching.combinations import choices


class Space:
    """A value for each swept key; one with a condition has none where that is not met."""

    def __init__(self, words: Sequence[Override], when: Mapping[str, Any]) -> None:
        """`when`: {"model.dropout": {"model": "net2"}}, or a list of values. ValueError where there is no choice."""
        swept = {o.get_key_element(): o for o in words if o.is_sweep_override()}
        if not swept:
            raise ValueError(
                "hydra.sweeper.search: has nothing to search; sweep over a key, as with optimizer.lr=interval(0.01,0.1)"
            )
        if "seed" in swept:
            raise ValueError("seed: a search over seeds finds luck; leave it out, and judge the best on fresh ones")
        for key, condition in when.items():
            if not isinstance(condition, Mapping) or not {key, *condition} <= swept.keys():
                raise ValueError(
                    f"hydra.sweeper.search.when.{key}: both this key and those of its condition must be swept over, as "
                    "in model.dropout: {model: net2}"
                )
        self.overrides = {
            key: swept[key] for key in sorted(swept, key=lambda key: key in when)
        }  # conditions come first
        self._when = when

    def choose(self, value_of: Callable[[str], Any]) -> dict[str, Any]:
        """The value of each key whose condition is met by those before it."""
        values: dict[str, Any] = {}
        for key in self.overrides:
            if all(str(values.get(other)) in _texts(these) for other, these in self._when.get(key, {}).items()):
                values[key] = value_of(key)
        return values

    def first(self) -> dict[str, Any]:
        """Some choice, so that what is wrong with all of them is known at once."""
        return self.choose(lambda key: listed(self.overrides[key])[0])

    def all(self) -> list[dict[str, Any]]:
        """Every choice, none twice. ValueError for an interval."""
        for key, override in self.overrides.items():
            if not override.is_discrete_sweep():
                raise ValueError(f"{key}: a grid needs a list of values; use hydra.sweeper.search.sampler=tpe")
        found: list[dict[str, Any]] = []
        for combination in itertools.product(*map(listed, self.overrides.values())):
            values = self.choose(dict(zip(self.overrides, combination, strict=True)).__getitem__)
            found += [] if values in found else [values]
        return found


def listed(override: Override) -> list[Any]:
    """Its values as texts; of an interval only the lowest."""
    if override.is_discrete_sweep():
        return [word.partition("=")[2] for word in choices(override)]
    interval: Any = override.value()
    return [interval.start]


def _texts(values: Any) -> list[str]:
    return [str(value) for value in (values if isinstance(values, list | tuple) else [values])]
