"""What every network of config/model/ promises, with every data set that it fits."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import CPU, choices, config_of

from modules.parts import make_data, make_trainer
from modules.training.trainer import Trainer


@pytest.fixture(scope="module", params=choices("model"))
def pairs(request: pytest.FixtureRequest, datasets_dir: Path) -> list[tuple[Trainer, Trainer]]:
    """What would train one model with seeds 0 and 1, for each data set of config/data/ that it fits; at least one."""
    found = []
    for name in choices("data"):
        try:
            config = config_of(f"model={request.param}", f"data={name}", f"system.datasets_dir={datasets_dir}")
            data = make_data(config)
            found.append((make_trainer(config, data, CPU), make_trainer(replace(config, seed=1), data, CPU)))
        except ValueError as refusal:  # in a sentence: they do not fit
            print(refusal)
    assert found
    return found


@pytest.fixture
def fitting(pairs: list[tuple[Trainer, Trainer]]) -> list[Trainer]:
    return [trainer for trainer, _ in pairs]


def an_input(trainer: Trainer, examples: int = 8) -> torch.Tensor:
    return next(trainer.validation.in_order(examples))["input"]


def test_the_loss_reaches_every_parameter(fitting: list[Trainer]) -> None:
    for trainer in fitting:
        loss, _ = trainer.step(next(trainer.data.shuffled(0, 8, 0, 1)))
        loss.backward()
        assert [name for name, p in trainer.bare.named_parameters() if p.requires_grad and p.grad is None] == []
        assert loss.isfinite()


def test_the_optimizer_holds_every_parameter(fitting: list[Trainer]) -> None:
    for trainer in fitting:
        held = {id(parameter) for group in trainer.optimizer.param_groups for parameter in group["params"]}
        assert held >= {id(parameter) for parameter in trainer.bare.parameters() if parameter.requires_grad}


def test_a_prediction_depends_on_its_own_example_and_on_no_other_of_the_batch(fitting: list[Trainer]) -> None:
    for trainer in fitting:
        network, inputs = trainer.bare.eval(), an_input(trainer)
        with torch.inference_mode():
            together = network(inputs)
            alone = torch.cat([network(example[None]) for example in inputs])
        torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
        assert len(together) == 8
        assert not torch.allclose(together[0], together[1])


def test_its_saved_weights_are_all_that_a_network_needs_to_predict_the_same(
    pairs: list[tuple[Trainer, Trainer]],
) -> None:
    """A layer that is kept in a plain list or dictionary is neither trained nor saved."""
    for trainer, other in pairs:
        inputs = an_input(trainer)
        with torch.inference_mode():
            assert not torch.equal(other.bare.eval()(inputs), trainer.bare.eval()(inputs))
            other.load_weights(trainer.bare.state_dict())
            assert torch.equal(other.bare(inputs), trainer.bare(inputs))


def test_one_batch_is_learned_by_heart(fitting: list[Trainer]) -> None:
    trainer = fitting[0]
    batch = next(trainer.data.shuffled(0, 16, 0, 1))
    first = loss = trainer.step(batch)[0]
    for _ in range(600):
        loss, _ = trainer.step(batch)
        if loss < 0.1 * first:
            break
        trainer.optimizer.zero_grad()
        loss.backward()
        trainer.optimizer.step()
    assert loss < 0.1 * first
