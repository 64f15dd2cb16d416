"""A network in shares, one for each process of a run (FSDP2), so that a larger one fits; checkpoints hold it whole.

Imported only where a run asks for it: what it needs of torch takes a second.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from labkit.distributed import rank, share_buffers, world_size


class Shares:
    """Leaves this process its share of every weight; a block in a ModuleList is whole while it computes.

    All processes ask for a `state_dict` at the same time; that of process 0 is whole.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        mesh = init_device_mesh(device.type, (world_size(),))
        lists = [module for module in network.modules() if isinstance(module, nn.ModuleList)]
        blocks = [block for blocks in reversed(lists) for block in blocks]
        self._parts: list[FSDPModule] = [fully_shard(part, mesh=mesh) for part in (*blocks, network)]
        weights = dict(network.named_parameters())
        network.register_forward_pre_hook(lambda module, _: share_buffers(module) if module.training else None)
        network.register_state_dict_post_hook(lambda module, state, *_: state.update(_whole(state)))
        network.register_load_state_dict_pre_hook(lambda module, state, *_: state.update(_shares(state, weights)))

    def follow(self, optimizer: Optimizer) -> None:
        """The same for what the optimizer keeps of each weight."""
        weights = [p for group in optimizer.param_groups for p in group["params"]]

        def shares(_: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
            state = {i: _shares(kept, dict.fromkeys(kept, weights[i])) for i, kept in saved["state"].items()}
            return saved | {"state": state}

        optimizer.register_state_dict_post_hook(lambda _, state: _whole(state))
        optimizer.register_load_state_dict_pre_hook(shares)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Every process has all weights, because one may evaluate a batch more than another."""
        for part in self._parts:
            part.set_reshard_after_forward(False)
            part.unshard()
        yield
        for part in self._parts:
            part.set_reshard_after_forward(True)
            part.reshard()

    def whole(self, norm: Tensor) -> Tensor:
        return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _whole(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _whole(value) for name, value in state.items()}
    if not isinstance(state, DTensor):
        return state
    tensor = state.full_tensor()  # one after the other: all of them may not fit
    return tensor.cpu() if rank() == 0 else tensor.new_empty(0)


def _shares(state: dict[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    """What is saved of a weight in its shape is shared as the weight is."""
    of = {name: weight for name, weight in weights.items() if name in state and state[name].shape == weight.shape}
    return state | {
        name: distribute_tensor(
            state[name].to(weight.device), weight.device_mesh, weight.placements, src_data_rank=None
        )
        for name, weight in of.items()
    }
