"""A real Slurm cluster on one machine, which tests start and stop: a controller and four pretended nodes, without
accounting. It needs no root, no systemd and no cgroups, and shares nothing with another one or the machine's own."""

import ctypes
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# The names of the nodes have to be host names, for torch.distributed: as addresses they are without /etc/hosts.
CPU1, CPU2, GPU1, GPU2 = "127.0.0.11", "127.0.0.12", "127.0.0.21", "127.0.0.22"
GPU_TYPES = {CPU1: None, CPU2: None, GPU1: "a100", GPU2: "h100"}
LONGEST_S = 900.0  # as in faults.py, which is not for the Python of the system: that one runs this file, too
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}

_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_ABSENT = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name, path=_PATH)]
_INSTALL = "apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
MISSING = f"{', '.join(_ABSENT)}: not found; install with `{_INSTALL}`" if _ABSENT else ""

# A requeued job waits for cred_expire + 1 s, by default two minutes. A killed node is noticed after about 12 s, with
# the default MessageTimeout after 27. Nobody looks whether a wait or a grace is over but the scheduler, every
# sched_interval seconds, by default 60. Without DefMemPerCPU a job takes all the memory of its node.
_CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={short}/munge,cred_expire=5
StateSaveLocation={short}/state
SlurmdSpoolDir={short}/%n
SlurmctldPidFile={short}/slurmctld.pid
SlurmdPidFile={short}/%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MailProg=/bin/true
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
SchedulerParameters=batch_sched_delay=0,sched_min_interval=200000,bf_interval=2,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MaxArraySize={max_array_size}
ReturnToService=2
JobRequeue=1
MinJobAge=3600
KillWait=5
SlurmdTimeout=6
MessageTimeout=3
{more}
PartitionName=main Nodes=ALL Default=YES MaxTime=60 PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=ALL MaxTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=abrupt Nodes=ALL MaxTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
"""


class Cluster:
    """Nodes CPU1, CPU2, GPU1 (two a100) and GPU2 (two h100), each with 4 CPUs and 8000 MB. All are in the partitions
    `main`, whose jobs preempt those of `low` (10 s of grace) and `abrupt` (none). `folder` gets the logs; `more` are
    lines for slurm.conf."""

    environment: dict[str, str]  # for every process that is to meet this cluster

    def __init__(self, folder: Path, max_array_size: int = 1001, more: str = "") -> None:
        self._folder, self._more = folder, more
        self._max_array_size = max_array_size
        self._machines: dict[str, _Machine] = {}
        self._open = ExitStack()

    def __enter__(self) -> "Cluster":
        with ExitStack() as opened:
            claim, ports = _claim_ports(1 + len(GPU_TYPES))
            opened.enter_context(claim)
            # The path of a Unix socket has 107 characters at most.
            short = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp")))
            self._configure(short, ports)
            self.environment = _environment(short)
            opened.callback(self._stop)
            files = {"socket": "munge", "key-file": "munge.key", "seed-file": "munge.seed", "pid-file": "munge.pid"}
            paths = [f"--{option}={short / name}" for option, name in files.items()]
            self._start("munged", "--foreground", "--force", "--origin=127.0.0.1", *paths)
            self._start("slurmctld", "-D")
            for node in GPU_TYPES:
                self._start_slurmd(node)
            self.wait(lambda: all(map(self._is_up, GPU_TYPES)))
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def command(self, *words: str | Path, check: bool = True) -> str:
        """What a command, such as sbatch, prints; AssertionError where it fails and `check` is true."""
        ran = subprocess.run(words, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert not check or ran.returncode == 0, f"{words}: {ran.stderr}"
        return ran.stdout

    def submit(self, *words: str | Path) -> str:
        """`sbatch <words>`; returns the id of the job."""
        return self.command("sbatch", "--parsable", *words).strip()

    def jobs(self) -> dict[str, str]:
        """The state of every job and array task (12_3) since the start."""
        lines = self.command("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T").splitlines()
        return dict(line.split("|") for line in lines)

    def show(self, job: str) -> dict[str, str]:
        """What `scontrol show job` tells of one job or array task."""
        (line,) = self.command("scontrol", "show", "job", "-o", job).splitlines()
        return dict(word.split("=", 1) for word in re.split(r" +(?=[A-Z][\w/:]*=)", line.strip()))

    def wait(self, condition: Callable[[], T]) -> T:
        """What the condition gives as soon as that is true; AssertionError with queue and log after long."""
        end = time.monotonic() + LONGEST_S
        while not (value := condition()):
            assert time.monotonic() < end, f"waited in vain for {LONGEST_S} s\n{self._story()}"
            time.sleep(0.1)
        return value

    def wait_ended(self, jobs: str | Iterable[str]) -> dict[str, str]:
        """The final states of these jobs, array tasks, or arrays with all of their tasks. One that is requeued has none
        until it has run again."""
        asked = {jobs} if isinstance(jobs, str) else set(jobs)

        def states() -> dict[str, str]:
            now = self.jobs()
            found = {name: {job for job in now if name in (job, job.partition("_")[0])} for name in asked}
            ended = {job: now[job] for job in sorted(set().union(*found.values()))}
            return ended if all(found.values()) and set(ended.values()) <= ENDED else {}

        return self.wait(states)

    def set_time_limit(self, job: str, seconds: float) -> None:
        """From now, for a job or array task that runs; rounded up to minutes it stays the limit of a requeued one.

        The controller looks every 30 s only. At the first look after the limit it ends the job; at the first look less
        than 30 + s seconds before the limit it sends the signal of `sbatch --signal=USR2@s`. So after a call with 32
        USR2 comes within 30 s and the end 30 s later."""
        end = datetime.now() + timedelta(seconds=seconds)
        self.command("scontrol", "update", f"JobId={job}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}")

    def kill_node(self, node: str) -> None:
        """As a power cut would: its daemon and every process of its jobs are gone at once."""
        self._machines.pop(node).cut()

    def start_node(self, node: str) -> None:
        self._start_slurmd(node)
        self.wait(lambda: self._is_up(node))

    def _start_slurmd(self, node: str) -> None:
        self._start("slurmd", "-D", "-c", "-N", node, name=node)

    def _start(self, *words: str, name: str = "") -> None:
        name = name or words[0]
        self._machines[name] = _Machine(words, self._folder / f"{name}.log", self.environment)

    def _stop(self) -> None:
        for name in ("slurmctld", *GPU_TYPES, "munged"):
            if name in self._machines:
                self._machines.pop(name).cut()

    def _is_up(self, node: str) -> bool:
        state = self.command("sinfo", "-h", "-p", "main", "-n", node, "-o", "%T", check=False).strip()
        return state in ("idle", "mixed", "allocated", "completing")

    def _story(self) -> str:
        log = (self._folder / "slurmctld.log").read_text(encoding="utf-8", errors="replace")
        queue = self.command("squeue", "-r", "-t", "all", "-o", "%i %P %T %r %N", check=False)
        nodes = self.command("sinfo", "-N", "-p", "main", check=False)
        return "\n".join((queue, nodes, f"{self._folder}:", *log.splitlines()[-40:]))

    def _configure(self, short: Path, ports: list[int]) -> None:
        conf, gres = _CONF, ""
        for port, (node, gpu) in zip(ports[1:], GPU_TYPES.items(), strict=True):
            conf += f"NodeName={node} Port={port} CPUs=4 RealMemory=8000"
            conf += f" Gres=gpu:{gpu}:2\n" if gpu else "\n"
            (short / node).mkdir()
            if gpu:
                # Slurm takes the index of a GPU from the name of its device.
                for index in range(2):
                    (short / node / f"gpu{index}").symlink_to("/dev/null")
                gres += f"NodeName={node} Name=gpu Type={gpu} File={short / node}/gpu[0-1]\n"
        values = {"host": socket.gethostname().partition(".")[0], "port": ports[0], "short": short}
        values |= {"user": pwd.getpwuid(os.geteuid()).pw_name, "max_array_size": self._max_array_size}
        values["more"] = self._more
        (short / "slurm.conf").write_text(conf.format(**values), encoding="utf-8")
        (short / "gres.conf").write_text(gres, encoding="utf-8")
        (short / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n", encoding="utf-8")
        (short / "state").mkdir()
        (short / "munge.key").write_bytes(secrets.token_bytes(128))
        (short / "munge.key").chmod(0o600)


class _Machine:
    """A daemon and all that comes from it, in a session of their own, which do not outlive the tests."""

    def __init__(self, words: Iterable[str], log: Path, environment: dict[str, str]) -> None:
        with log.open("ab") as file:
            self._init = subprocess.Popen(
                [sys.executable, "-S", __file__, *words],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def cut(self) -> None:
        self._init.communicate()  # ends its input and waits for it


def _init(daemon: list[str]) -> None:
    """The first process of a machine: runs the daemon until its own input ends, also because the tests were killed."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: it inherits the orphans, so that none gets lost
    subprocess.Popen(daemon, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    sys.stdin.read()
    # First all are stopped, so that none sees another one die and tells of it.
    stopped: set[int] = set()
    while running := _descendants(os.getpid()) - stopped:
        for pid in running:
            _send(pid, signal.SIGSTOP)
        stopped |= running
    for pid in stopped:
        _send(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _descendants(ancestor: int) -> set[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


def _environment(short: Path) -> dict[str, str]:
    """Without what a surrounding allocation says."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))}
    return {**own, "PATH": _PATH, "SLURM_CONF": str(short / "slurm.conf")}


def _claim_ports(count: int) -> tuple[socket.socket, list[int]]:
    """Free ports, below those that the system gives to connections, and what keeps other clusters off until closed."""
    for first in range(20000, 32000, count):
        claim = socket.socket(socket.AF_UNIX)
        ports = list(range(first, first + count))
        try:
            claim.bind(f"\0slurm_cluster:{first}")
            for port in ports:
                with socket.socket() as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    trial.bind(("", port))
            return claim, ports
        except OSError:
            claim.close()
    raise AssertionError("no free ports from 20000 to 32000")


if __name__ == "__main__":
    _init(sys.argv[1:])
