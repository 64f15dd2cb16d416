"""Where a run stands before it begins: finished, held by another process, diverged, or to be started over."""

import multiprocessing
from contextlib import ExitStack
from dataclasses import asdict

from labkit.config import RunConfig
from labkit.runs.data_files import changed_files
from labkit.runs.files import LOCK
from labkit.runs.folder import RunFolder
from labkit.runs.identity import data_version, differences, run_path
from labkit.runs.provenance import code_id
from labkit.runs.spent import keep_spent


def in_sweep() -> bool:
    """Whether this process is a member of a sweep, for which another process speaks on the terminal."""
    return multiprocessing.current_process().name != "MainProcess"


def is_finished(folder: RunFolder, config: RunConfig) -> bool:
    """Also says so, and whether the code has changed since. ValueError: see `finished_code`."""
    code = finished_code(folder, config)
    if code and not in_sweep():
        print(f"{folder.path}: finished already; nothing to do")
        if code != code_id():
            print("warning: it finished with code that has changed since; add restart=true to run it again")
    return code is not None


def finished_code(folder: RunFolder, config: RunConfig) -> str | None:
    """The code_id of a finished run, or None if it is not finished. ValueError if it was trained on other data."""
    result = folder.read_result()
    if result is None:
        return None
    then = result["data"]["fingerprint"]
    now = data_version(config)
    if now not in (None, then):
        raise ValueError(f"{folder.path}: finished on other data ({then}, now {now}); add restart=true to run it again")
    if changed := changed_files(result["data"].get("files", {})):
        changes = f"{', '.join(changed)} changed since"
        raise ValueError(f"{folder.path}: finished on other data ({changes}); add restart=true to run it again")
    return result["launches"][-1]["code_id"]


def enter(folder: RunFolder, config: RunConfig, lock: ExitStack) -> bool:
    """Takes the run's lock into `lock`; deletes what there is of the run if the configuration says so.

    Returns False if the run is finished. ValueError: another process is writing it, it diverged, or the folder holds
    something else.
    """
    code_id()  # refuses code that is too large, before anything is written
    lock.enter_context(folder.locked())
    if config.restart:
        _delete(folder, config)
        config.restart = False
    elif is_finished(folder, config):
        return False
    state = folder.read_state()
    if state.get("status") == "diverged":
        raise ValueError(
            f"{folder.path}: diverged ({state.get('reason')}); change a setting, or add restart=true to try it again"
        )
    return True


def discard(config: RunConfig) -> None:
    """Deletes what a run has done so far, after saying what that is. ValueError as for `enter`."""
    folder = RunFolder(run_path(config))
    if folder.path.exists():
        with folder.locked():
            _delete(folder, config)


def _delete(folder: RunFolder, config: RunConfig) -> None:
    everything = [path for path in folder.path.rglob("*") if path.is_file() and path.name != LOCK]
    if not everything:
        return
    saved = folder.read_config()
    if not saved or differences(saved, asdict(config), config.NEUTRAL):
        raise ValueError(f"{folder.path}: does not hold this run; look at it and remove it by hand")
    files = folder.written()
    megabytes = sum(path.lstat().st_size for path in files) / 2**20
    state = folder.read_state()
    done = f"{state.get('status', 'not begun')} at step {state.get('step', 0)}"
    keep_spent(folder)
    print(f"restart: deletes {folder.path} ({done}, {len(files)} files, {megabytes:.1f} MB)", flush=True)
    folder.clear()
    if kept := sorted(path.relative_to(folder.path).as_posix() for path in set(everything) - set(files)):
        print(f"restart: keeps {', '.join(kept)} in it, which is not a part of the run", flush=True)
