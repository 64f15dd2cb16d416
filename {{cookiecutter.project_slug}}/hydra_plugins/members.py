"""The one class that Hydra must find in this folder, which it imports on every command: so nothing else is here."""

from typing import Any

from hydra.plugins.sweeper import Sweeper


class MemberSweeper(Sweeper):
    """Hands every sweep to labkit/launching/sweeper.py; the settings are in config/hydra/sweeper/members.yaml."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, **given: Any) -> None:
        self.given = given

    def sweep(self, arguments: list[str]) -> None:
        from labkit.launching.sweeper import sweep

        sweep(arguments, **self.settings, **self.given)
