"""Randomness keyed by position, not by state: what a step draws depends on (seed, rank, epoch, step) alone.

So nothing random is saved, and a run that is resumed at any step draws what it would have drawn.
"""

import hashlib

import torch
from torch import Tensor


def key(*position: int | str) -> int:
    """A 63-bit seed. The parts are hashed, never added: torch's CPU generator keeps only the low 32 bits of a seed."""
    return int.from_bytes(hashlib.blake2b(repr(position).encode(), digest_size=8).digest(), "little") >> 1


def generator(*position: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(key(*position))


def step_seeds(seed: int, rank: int, epoch: int, steps: int) -> list[int]:
    """One 63-bit seed for each step of an epoch; drawn at once, because hashing each takes longer than seeding."""
    return torch.randint(2**63 - 1, (steps,), generator=generator("steps", seed, rank, epoch)).tolist()


def set_seed(seed: int, device: torch.device) -> None:
    """Seeds the default generators in use. `torch.manual_seed` touches every device and takes 100 us; this takes 2."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)


def epoch_order(seed: int, epoch: int, examples: int) -> Tensor:
    """The order of the examples (examples,) in an epoch: a function of (seed, epoch) only."""
    return torch.randperm(examples, generator=generator("order", seed, epoch))
