"""Keeps Hydra from making anything but this project's own: what a file or a command line names under `hydra` is made
before any task is called, and so before labkit/build.py can look at it."""

from collections.abc import Iterator
from typing import Any

import hydra._internal.hydra as hydra_itself
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from labkit.secrets import refuse_secrets

MADE = ("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging")  # the keys from which Hydra makes objects
KEPT = ("job", "launcher", "sweeper")  # the keys that a person sets, all of which a run's folder keeps
MAKING = ("_target_", "()", "class")  # what names a class or a function, here and in Python's logging
TAKEN = tuple(f"hydra.{key}" for key in (*MADE, "mode", "searchpath", "job.env_set"))
# What has no effect, with the value that it has in config/; the rest of what a file may set is checked by _making.
IDLE = {
    "run.dir": ".",
    "sweep.dir": ".",
    "sweep.subdir": ".",
    "output_subdir": None,
    "job.chdir": False,
    "verbose": False,
}
OWN = (
    *("labkit.launching.local.LocalLauncher", "labkit.launching.slurm.SlurmLauncher"),
    "hydra_plugins.members.MemberSweeper",
    # Hydra's defaults, which --hydra-help and the commands without sweeps have
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    *("logging.StreamHandler", "ext://sys.stdout", "ext://sys.stderr"),
)


class _CheckedLoader(ConfigLoaderImpl):
    """All that Hydra composes comes from here, whichever flags are given and for each member of a sweep."""

    _of_members = False

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        config = self._loaded(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        of_help = config_name is None  # --hydra-help shows Hydra's own job_logging, and does not use it
        if not of_help:
            _check_effect(config.hydra)
        _check(config.hydra, [name for name in MADE if not (of_help and name == "job_logging")])
        return config

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        self._of_members = True
        return super().load_sweep_config(master_config, sweep_overrides)

    def _loaded(self, config_name: str | None, overrides: list[str], run_mode: RunMode, *how: bool) -> DictConfig:
        """In a sweep, overrides that do not fit the choices that no member need have, such as model.dropout where the
        model is swept over, are left to the members."""
        try:
            return super().load_configuration(config_name, overrides, run_mode, *how)
        except ConfigCompositionException as error:
            group, dot, _ = (getattr(error.__cause__, "full_key", None) or "").partition(".")
            of_members = dot and group != "hydra"
            left = [word for word in overrides if of_members and word.lstrip("+~").startswith(f"{group}.")]
            if not left or self._of_members:
                raise
            config = self._loaded(config_name, [word for word in overrides if word not in left], run_mode, *how)
            if RunMode.MULTIRUN not in (run_mode, config.hydra.mode):
                raise
        with read_write(config.hydra.overrides):
            config.hydra.overrides.task += left
        return config


def guard_hydra() -> None:
    """For the rest of this process: a ValueError where a configuration makes Hydra run something else."""
    hydra_itself.ConfigLoaderImpl = _CheckedLoader  # pyright: ignore[reportPrivateImportUsage]


def _check_effect(node: DictConfig) -> None:
    """ValueError for a setting of Hydra that would be taken in silence and change nothing."""
    words = [str(word).lstrip("+~").partition("=")[0] for word in node.overrides.hydra]
    changed = [f"hydra.{key}" for key, value in IDLE.items() if OmegaConf.select(node, key) not in (value, None)]
    for key in [word for word in words if not word.replace("/", ".").startswith(TAKEN)] + changed:
        raise ValueError(f"{key}: has no effect here, where every run has a folder and a log of its own; remove it")


def _check(node: DictConfig, made: list[str]) -> None:
    if node.job.env_set:
        raise ValueError("hydra.job.env_set: a variable may make a program run another; set it in the shell instead")
    refuse_secrets({f"hydra.{name}": OmegaConf.to_container(node[name], resolve=False) for name in KEPT})
    for name in made:
        for key, value in _making(f"hydra.{name}", _child(node, name)):
            if value in OWN:
                continue
            hint = "use +launcher=joblib, slurm or none" if name == "launcher" else "remove it"
            raise ValueError(f'{key}: "{value}" is not of this project, and nothing else may run here; {hint}')


def _making(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What would be made, imported or called, by key."""
    if isinstance(value, DictConfig):
        for name in value:
            child = _child(value, name)
            if name in MAKING:
                yield f"{key}.{name}", child
            yield from _making(f"{key}.{name}", child)
    elif isinstance(value, ListConfig):
        for n in range(len(value)):
            yield from _making(f"{key}.{n}", _child(value, n))
    elif isinstance(value, str) and value.startswith(("ext://", "cfg://")):
        yield key, value


def _child(node: Any, name: Any) -> Any:
    """As Hydra will read it; None where it cannot be read."""
    try:
        return node[name]
    except OmegaConfBaseException:
        return None
