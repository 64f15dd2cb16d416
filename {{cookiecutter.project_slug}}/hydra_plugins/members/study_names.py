"""`study=depth` is a name, with or without a file config/study/depth.yaml, which only the report reads.

Hydra takes every folder of config/ for a group, and would take the name for the choice of a file that must be there.
"""

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class ConfigFolder(FileConfigSource):
    """config/ without the group `study`."""

    @staticmethod
    def scheme() -> str:
        return "config"

    def is_group(self, config_path: str) -> bool:
        return config_path != "study" and super().is_group(config_path)


class StudyNames(SearchPathPlugin):
    """Has the folder of the entry points read by `ConfigFolder`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for element in search_path.get_path():
            if element.provider == "main":
                element.path = f"{ConfigFolder.scheme()}://{element.path.removeprefix('file://')}"
