"""One run on several processes, as torchrun starts them: which one this is, and what all of them agree on.

In a run of one process, every function here returns what it was given.
"""

import contextlib
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")
JOIN = timedelta(minutes=5)  # torch waits half an hour for processes whose torchrun was killed at the start


def rank() -> int:
    """The number of this process within the run; process 0 writes."""
    return dist.get_rank() if _together() else 0


def world_size() -> int:
    """How many processes share the run."""
    return dist.get_world_size() if _together() else 1


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Joins the other processes for the duration of the block; CPUs exchange their data through gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    store, number, processes = next(rendezvous("env://", timeout=JOIN))
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=processes)
    with naming_the_other():
        yield
    # Not after an error: the barrier would wait for processes that wait for this one. Garbage goes first, because
    # Python crashes if something still holds the group when it exits, and gloo's threads release their tensors late.
    gc.collect()
    dist.barrier()
    dist.destroy_process_group()


def first(action: Callable[[], T]) -> T:
    """Calls `action` on process 0 and returns its answer on every process. If it fails, the others end silently."""
    answer: list[Any] = []
    try:
        if rank() == 0:
            answer = [action()]
    finally:
        answer = gather(answer)[0]  # empty where the action failed
    if not answer:
        sys.exit(1)
    return answer[0]


def gather(value: T) -> list[T]:
    """The values of all processes, by rank; plain types only.

    They travel as JSON: torch's `all_gather_object` would unpickle what comes from the network.
    """
    if not _together():
        return [value]
    text = json.dumps(value).encode()
    lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(world_size())]
    dist.all_gather(lengths, torch.tensor([len(text)]))
    longest = int(max(lengths))
    texts = [torch.zeros(longest, dtype=torch.uint8) for _ in lengths]
    dist.all_gather(texts, torch.tensor([*text, *bytes(longest - len(text))], dtype=torch.uint8))
    return [json.loads(bytes(text[: int(n)].tolist())) for text, n in zip(texts, lengths, strict=True)]


def largest(numbers: list[int]) -> list[int]:
    """For each of the numbers, the largest that any process has."""
    return [max(column) for column in zip(*gather(numbers), strict=True)]


def averaging_gradients(network: nn.Module, device: torch.device) -> nn.Module:
    """The network, wrapped so that `backward` leaves the mean of all gradients on every process."""
    if not _together():
        return network
    wrapped = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    # DDP regroups the gradients after the first step of a launch. With three or more processes this changes the order
    # in which they are added, so the last bits would depend on where a run was resumed. So we make it regroup now.
    wrapped.reducer._push_all_rebuilt_params()
    wrapped.reducer._rebuild_buckets()
    return wrapped


def exchange(wrapped: nn.Module, *, now: bool) -> contextlib.AbstractContextManager[None]:
    """Put this around `backward`: accumulated gradients are exchanged once, after the last batch."""
    if now or not isinstance(wrapped, DistributedDataParallel):
        return contextlib.nullcontext()
    return wrapped.no_sync()


def share_buffers(module: nn.Module) -> None:
    """Copies the buffers of process 0, such as batch normalisation's running statistics, to every process."""
    if _together():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


@contextlib.contextmanager
def naming_the_other() -> Iterator[None]:
    """ValueError if another process of the run has gone: its own message is the one to read, not gloo's."""
    try:
        yield
    except RuntimeError as error:
        if not _together() or "onnection" not in str(error):
            raise
        raise ValueError("distributed: another process of this run ended; its message says why") from error


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()
