"""Every model of config/model/ can be built for every data set of config/data/, whatever its shape and its classes."""

from pathlib import Path

import pytest
import torch
from labkit.build import build
from modules.parts import make_data
from small_runs import ROOT, config_of, same_bits, small_trainer
from torch import Tensor, nn

MODELS, DATA = (
    sorted(path.stem for path in (ROOT / "config" / group).glob("[!_]*.yaml")) for group in ("model", "data")
)
NODES = {name: config_of(f"model={name}").model for name in MODELS}


def model_of(name: str, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    return build("model", NODES[name], nn.Module, offered={"input_shape": input_shape, "outputs": outputs})


@pytest.mark.parametrize("data_name", DATA)
def test_every_model_gives_one_logit_for_each_class(data_name: str, datasets: Path) -> None:
    data = make_data(config_of(f"data={data_name}", f"system.datasets_dir={datasets}"))
    images = data.part("train").fetch(torch.arange(3), None)["input"]
    shape, outputs = data.facts["input_shape"], data.facts["outputs"]
    for name in MODELS:
        assert model_of(name, shape, outputs)(images).shape == (3, outputs), name


def test_a_model_takes_its_shape_from_the_data() -> None:
    for name in MODELS:
        assert model_of(name, (3, 10, 13), 7)(torch.zeros(2, 3, 10, 13)).shape == (2, 7), name


@pytest.mark.parametrize(("name", "hidden"), [("net2", 2), ("net5", 5), ("net7", 7), ("net_bn", 2)])
def test_a_net_has_as_many_hidden_layers_as_its_file_says(name: str, hidden: int) -> None:
    kinds = [type(layer) for layer in model_of(name, (1, 8, 8), 10).modules()]
    assert (kinds.count(nn.Conv2d), kinds.count(nn.Linear)) == (2, hidden + 1)
    assert (nn.BatchNorm2d in kinds) == (name == "net_bn")


def test_the_first_weights_depend_on_the_seed_only() -> None:
    def initial(*overrides: str) -> dict[str, Tensor]:
        return small_trainer(*overrides).bare.state_dict()

    torch.rand(3)
    assert same_bits(initial("seed=1"), initial("seed=1", "optimizer=sgd", "training.batch_size=4"))
    assert not same_bits(initial("seed=1"), initial("seed=2"))
