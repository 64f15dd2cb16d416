"""What every network of config/model/ promises, with every data set and task that it fits."""

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from small_runs import CPU, DataSets, choices, compose, words_for
from torch import Tensor, nn

from labkit.build import build
from labkit.launching.entry_point import CheckedTask
from modules.config import TrainConfig
from modules.parts import make_network, make_trainer
from modules.train import train
from modules.training.task import Batch, Mean, Task
from modules.training.trainer import Trainer

Fitting = list[tuple[Trainer, nn.Module]]
Pairs = dict[tuple[str, str, str], tuple[Trainer, nn.Module]]


@pytest.fixture(scope="module")
def every_pair(data_sets: DataSets) -> Pairs:
    """By model, data set and task, where they fit together: what would train them, and the network of another seed.

    Each choice is composed once: to compose every combination would take ten times as long.
    """
    tasks: dict[str, Any] = {task: OmegaConf.to_container(compose(f"task={task}").task) for task in choices("task")}
    models = {model: compose(f"model={model}").model for model in choices("model")}
    found = {}
    for (name, (config, data)), task in product(data_sets.items(), tasks):
        try:
            build("task", tasks[task], Task, offered=data.facts)
        except ValueError:  # in a sentence: the data set is for another task
            continue
        small = ("training.batch_size=8", "training.evaluation_batch_size=16")
        composed = compose(*words_for(name, config.system.datasets_dir), f"task={task}", *small)
        fitting = CheckedTask(TrainConfig, train).checked(composed, composed.hydra)
        for model, node in models.items():
            composed.model = node
            with suppress(ValueError):  # they may not fit
                config = replace(fitting, model=OmegaConf.to_container(composed.model, resolve=True))
                pair = (make_trainer(config, data, CPU), make_network(replace(config, seed=1), data.facts))
                found[model, name, task] = pair
    return found


@pytest.fixture(params=choices("model"))
def pairs(request: pytest.FixtureRequest, every_pair: Pairs) -> Fitting:
    """Those of one model; at least one. A model for data that is not on this machine needs a small data set as well."""
    found = [pair for (model, _, _), pair in every_pair.items() if model == request.param]
    assert found
    return found


def loss_of(trainer: Trainer, batch: Batch, turn: str) -> Tensor:
    trainer.task.turn = turn
    loss, _ = trainer.task.step(batch)
    return loss.total / loss.count if isinstance(loss, Mean) else loss


def predicted(trainer: Trainer, batch: Batch) -> Tensor:
    """All numbers that the task predicts, a row for each example."""
    trainer.bare.eval()
    with torch.inference_mode():
        found = trainer.task.predict(batch)
    return torch.cat([part.reshape(len(part), -1) for part in found.values() if part.is_floating_point()], 1)


def test_every_data_set_fits_a_model_and_a_task(every_pair: Pairs, data_sets: DataSets) -> None:
    assert {name for _, name, _ in every_pair} == set(data_sets)
    assert {("net2", name, "classification") for name in ("digits", "synthetic")} <= every_pair.keys()


def test_the_loss_reaches_every_parameter(pairs: Fitting) -> None:
    for trainer, _ in pairs:
        batch = next(trainer.data.shuffled(0, 8, 0, 1))
        for turn in trainer.task.turns:
            loss = loss_of(trainer, batch, turn)
            loss.backward()
            assert loss.isfinite()
        assert [name for name, p in trainer.bare.named_parameters() if p.requires_grad and p.grad is None] == []


def test_the_optimizers_hold_every_parameter(pairs: Fitting) -> None:
    for trainer, _ in pairs:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        held = {id(parameter) for group in groups for parameter in group["params"]}
        assert held >= {id(parameter) for parameter in trainer.bare.parameters() if parameter.requires_grad}


def with_one_turn(pairs: Fitting) -> Fitting:
    """Where several work against each other, as in a GAN, no loss has to fall, and what is predicted may be drawn."""
    return [(trainer, other) for trainer, other in pairs if len(trainer.task.turns) == 1]


def test_a_prediction_depends_on_its_own_example_and_on_no_other_of_the_batch(pairs: Fitting) -> None:
    for trainer, _ in with_one_turn(pairs):
        batch = next(trainer.validation.in_order(8))
        together = predicted(trainer, batch)
        alone = [predicted(trainer, {name: part[i : i + 1] for name, part in batch.items()}) for i in range(8)]
        torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=1e-5)
        assert len(together) == 8
        assert not torch.allclose(together, together[:1].expand_as(together))


def test_its_saved_weights_are_all_that_a_network_needs_to_predict_the_same(pairs: Fitting) -> None:
    """A layer that is kept in a plain list or dictionary is neither trained nor saved."""
    for trainer, other in with_one_turn(pairs):
        batch = next(trainer.validation.in_order(8))
        expected = predicted(trainer, batch)
        trainer.task.network = other.eval()
        assert not torch.equal(predicted(trainer, batch), expected)
        other.load_state_dict(trainer.bare.state_dict())
        assert torch.equal(predicted(trainer, batch), expected)
        trainer.task.network = trainer.bare


def test_one_batch_is_learned_by_heart(pairs: Fitting) -> None:
    for trainer, _ in with_one_turn(pairs)[:1]:
        trainer.bare.train()
        batch = next(trainer.data.shuffled(0, 8, 0, 1))
        losses = []
        while len(losses) < 600 and (not losses or losses[-1] > 0.1 * losses[0]):
            trainer.optimizers[0].zero_grad()
            losses.append(loss_of(trainer, batch, trainer.task.turns[0]))
            losses[-1].backward()
            trainer.optimizers[0].step()
        assert losses[-1] <= 0.1 * losses[0]
