"""Every model of config/model/ fits every data set of config/data/, or says which data it takes."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from labkit.build import build
from modules.parts import make_data
from small_runs import ROOT, config_of, same_bits, small_trainer
from torch import Tensor, nn


def names_in(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "config" / group).glob("[!_]*.yaml"))


def needs_nothing(data_name: str) -> bool:
    """Whether a data set is there without a download, and without a file of one's own."""
    text = (ROOT / "config" / "data" / f"{data_name}.yaml").read_text(encoding="utf-8")
    return "???" not in text and "modules.data.hub" not in text


MODELS = names_in("model")
DATA = [name for name in names_in("data") if needs_nothing(name)]
NODES = {name: config_of(f"model={name}").model for name in MODELS}
IMAGES = [name for name in MODELS if name not in ("transformer_text", "unet")]


def model_of(name: str, input_shape: tuple[int, ...], outputs: int, **facts: object) -> nn.Module:
    return build("model", NODES[name], nn.Module, offered={"input_shape": input_shape, "outputs": outputs, **facts})


@pytest.mark.parametrize("data_name", DATA)
def test_every_model_gives_what_the_data_needs_or_says_which_data_it_takes(data_name: str, datasets: Path) -> None:
    data = make_data(config_of(f"data={data_name}", f"system.datasets_dir={datasets}"))
    batch = data.part("train").fetch(torch.arange(3), None)
    fitting = set()
    for name in MODELS:
        try:
            model = build("model", NODES[name], nn.Module, offered=data.facts)
        except ValueError as refused:
            assert re.match(r"model.*choose model=", str(refused)), name  # noqa: PT017 -- some fit, and some do not
            continue
        if ("tokens" in data.facts) == ("text" in name):
            fitting.add(name)
            assert model(batch["input"]).shape[:2] == (3, data.facts["outputs"]), name
    assert fitting


def test_a_model_takes_its_shape_from_the_data() -> None:
    for name in IMAGES:
        assert model_of(name, (3, 10, 14), 7)(torch.zeros(2, 3, 10, 14)).shape == (2, 7), name
    assert model_of("unet", (3, 10, 13), 7)(torch.zeros(2, 3, 10, 13)).shape == (2, 7, 10, 13)
    tokens = torch.randint(1, 30, (2, 9))
    assert model_of("transformer_text", (12,), 7, vocabulary=30)(tokens).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "facts", "message"),
    [
        (
            "net2",
            {"input_shape": (11,)},
            r"^model: ConvNet takes images \(channels, .* \(11,\); choose model=mlp",
        ),
        ("resnet20", {"input_shape": (11,)}, r"^model: ResNet takes images .* choose model=mlp"),
        ("resnet20", {"input_shape": (1, 3, 8)}, r"^model: ResNet needs images of at least 4 x 4 pixels"),
        ("unet", {"input_shape": (11,)}, r"^model: UNet takes images .* choose model=mlp"),
        ("transformer", {"input_shape": (11,)}, r"^model: Transformer takes images or tokens, .* choose model=mlp"),
        (
            "transformer",
            {"input_shape": (9,), "vocabulary": 5},
            r"^model: .* tokens, .* choose model=transformer_t",
        ),
        ("transformer", {"input_shape": (1, 9, 8)}, r"^model.patch: 2 does not divide images of 9 x 8 pixels"),
        ("transformer_text", {"input_shape": (1, 8, 8)}, r"^model: Transformer takes images or tokens"),
    ],
)
def test_a_model_says_which_data_it_takes(name: str, facts: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("model", NODES[name], nn.Module, offered={"outputs": 2, **facts})


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        ("mlp", {"hidden_width": 0}),
        ("mlp", {"dropout": 1.0}),
        ("resnet20", {"blocks": 0}),
        ("transformer", {"width": 65}),
        ("transformer", {"layers": 0}),
        ("transformer", {"patch": 0}),
        ("unet", {"channels": 0}),
    ],
)
def test_settings_that_make_no_network_are_refused(target: str, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^model.*: .*must be at least|^model.patch: 0 does not"):
        build("model", {**NODES[target], **changes}, nn.Module, offered={"input_shape": (1, 8, 8), "outputs": 2})


def test_resnet_20_has_the_parameters_of_the_paper() -> None:
    model = model_of("resnet20", (3, 32, 32), 10)
    assert sum(p.numel() for p in model.parameters()) == 269_722  # 0.27 million, with the shortcut of option A
    assert [type(layer) for layer in model.modules()].count(nn.Conv2d) == 19


def test_a_transformer_does_not_see_padding_and_knows_the_order() -> None:
    model = model_of("transformer_text", (12,), 3, vocabulary=30).eval()
    tokens = torch.randint(1, 30, (2, 9))
    padded = torch.cat([tokens, torch.zeros(2, 3, dtype=torch.int64)], 1)
    torch.testing.assert_close(model(padded), model(tokens))
    torch.testing.assert_close(model(padded, padded != 0), model(tokens))
    changed = padded.clone()
    changed[:, 9:] = 7
    torch.testing.assert_close(model(changed, padded != 0), model(tokens))
    assert not torch.allclose(model(changed), model(tokens))
    assert not torch.allclose(model(tokens.flip(1)), model(tokens))
    assert model(torch.zeros(2, 4, dtype=torch.int64)).isfinite().all()  # a text without a known token


def test_a_transformer_keeps_its_attention_only_when_it_is_asked() -> None:
    model: Any = model_of("transformer_text", (12,), 3, vocabulary=30).eval()
    tokens = torch.tensor([[5, 6, 7, 0], [5, 6, 7, 8]])
    output = model(tokens)
    assert model.attention == [None, None]
    model.keep_attention()
    assert torch.equal(model(tokens), output)
    for weights in model.attention:
        assert weights.shape == (2, 4, 4, 4)  # batch, heads, tokens, tokens
        torch.testing.assert_close(weights.sum(3), torch.ones(2, 4, 4))
        assert not weights[0, :, :, 3].any()
    block = model.blocks[0]
    x = block.norm(model.embed(tokens) + model.position[:4])
    value = block.query_key_value(x).view(2, 4, 3, 4, 16).permute(2, 0, 3, 1, 4)[2]
    mixed = (model.attention[0] @ value).transpose(1, 2).reshape(2, 4, 64)
    torch.testing.assert_close(block.project(mixed), block._attended(x, tokens != 0))


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
