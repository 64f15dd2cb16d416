"""One run on several processes, as torchrun starts them: who this one is, and what all of them agree on.

Alone, every function here gives back what it was given.
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
JOIN = timedelta(minutes=5)  # a process whose torchrun was killed as it began would wait for half an hour


def rank() -> int:
    """The number of this process among those of the run; 0 writes."""
    return dist.get_rank() if _together() else 0


def world_size() -> int:
    """How many processes share the run."""
    return dist.get_world_size() if _together() else 1


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Joins the others for the time of the block; what is exchanged between CPUs goes through gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    store, number, processes = next(rendezvous("env://", timeout=JOIN))
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=processes)
    with naming_the_other():
        yield
    # Not after an error: it would wait for processes that wait for this one. What still holds the group when Python
    # ends aborts it, because gloo's threads let go of Python's tensors a moment after the last exchange.
    gc.collect()
    dist.barrier()
    dist.destroy_process_group()


def first(action: Callable[[], T]) -> T:
    """What `action` returns on process 0, on all of them. Where it fails there, the others end without a word."""
    if not _together():
        return action()
    answer: list[Any] = [False, None]
    try:
        if rank() == 0:
            answer = [True, action()]
    finally:
        answer = gather(answer)[0]
    if not answer[0]:
        sys.exit(1)
    return answer[1]


def gather(value: T) -> list[T]:
    """The value, of plain types, of every process, in the order of their ranks. As JSON: torch's own way unpickles what
    comes from the network."""
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
    """Of each number the largest that any process has."""
    if not _together():
        return numbers
    together = torch.tensor(numbers)
    dist.all_reduce(together, dist.ReduceOp.MAX)
    return together.tolist()


def averaging_gradients(network: nn.Module, device: torch.device) -> nn.Module:
    """The network, wrapped so that `backward` leaves every process with the mean of all gradients."""
    if not _together():
        return network
    wrapped = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    # It would regroup the gradients after the first step of a launch: from three processes on, the order in which they
    # are added, and so their last bits, would depend on where the run was resumed. So it does that now.
    wrapped.reducer._push_all_rebuilt_params()
    wrapped.reducer._rebuild_buckets()
    return wrapped


def exchange(wrapped: nn.Module, *, now: bool) -> contextlib.AbstractContextManager[None]:
    """Around `backward`: accumulated gradients are exchanged once, with those of the last batch."""
    if now or not isinstance(wrapped, DistributedDataParallel):
        return contextlib.nullcontext()
    return wrapped.no_sync()


def share_buffers(module: nn.Module) -> None:
    """Gives every process the buffers of process 0, such as the running statistics of batch normalisation."""
    if _together():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


@contextlib.contextmanager
def naming_the_other() -> Iterator[None]:
    """ValueError where another process of the run is gone: its message is the one to read, not gloo's."""
    try:
        yield
    except RuntimeError as error:
        if not _together() or "onnection" not in str(error):
            raise
        raise ValueError("distributed: another process of this run ended; its own message says why") from error


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()
