"""The networks to compare. A new one is a class here, named by a file of config/model/."""

from math import prod

from torch import Tensor, nn

from modules.shapes import Float


class Linear(nn.Module):
    """Multinomial logistic regression on the raw pixels: the baseline that a deeper network has to beat."""

    def __init__(self, *, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(prod(input_shape), outputs)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs"]:
        return self.classifier(images.flatten(1))


class ConvNet(nn.Module):
    """Two convolutions, each halving height and width, then `hidden_layers` fully connected layers."""

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        channels: int,
        hidden_layers: int,
        hidden_width: int,
        dropout: float,
        batch_norm: bool,
    ) -> None:
        """`input_shape`: (channels, height, width), each side at least 4 pixels. `dropout`: probability, after each
        hidden layer. ValueError: sizes below 1."""
        super().__init__()
        if len(input_shape) != 3:
            raise ValueError(
                f"model: ConvNet takes images (channels, height, width), not inputs of the shape {tuple(input_shape)}; "
                "choose model=mlp for a table, model=transformer_text for texts"
            )
        depth, height, width = input_shape
        if min(height, width) < 4:
            raise ValueError(f"data: images of {height} x {width} pixels are too small for this model; it needs 4 x 4")
        if min(channels, hidden_layers, hidden_width) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "model: channels, hidden_layers, hidden_width must be at least 1, dropout at least 0, below 1"
            )
        layers: list[nn.Module] = []
        for entering, leaving in ((depth, channels), (channels, 2 * channels)):
            layers += [nn.Conv2d(entering, leaving, kernel_size=3, padding=1)]
            layers += [nn.BatchNorm2d(leaving)] if batch_norm else []
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Flatten()]
        features = 2 * channels * (height // 4) * (width // 4)
        for _ in range(hidden_layers):
            layers += [nn.Linear(features, hidden_width)]
            layers += [nn.BatchNorm1d(hidden_width)] if batch_norm else []
            layers += [nn.ReLU()]
            layers += [nn.Dropout(dropout)] if dropout else []
            features = hidden_width
        self.layers = nn.Sequential(*layers, nn.Linear(features, outputs))

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs"]:
        return self.layers(images)
