"""Fully connected networks: for tables, and as a baseline for everything else that is a fixed number of values."""

from math import prod

from torch import Tensor, nn

from modules.shapes import Float


class MLP(nn.Module):
    """`hidden_layers` fully connected layers of `hidden_width` units with ReLU; 0 of them is a linear model."""

    def __init__(
        self, *, input_shape: tuple[int, ...], outputs: int, hidden_layers: int, hidden_width: int, dropout: float
    ) -> None:
        """`dropout`: probability, after each hidden layer. ValueError: sizes that make no network."""
        super().__init__()
        if hidden_layers < 0 or hidden_width < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "model: hidden_layers must be at least 0, hidden_width at least 1, dropout at least 0 and below 1"
            )
        features = prod(input_shape)
        layers: list[nn.Module] = [nn.Flatten()]
        for _ in range(hidden_layers):
            layers += [nn.Linear(features, hidden_width), nn.ReLU()]
            layers += [nn.Dropout(dropout)] if dropout else []
            features = hidden_width
        self.layers = nn.Sequential(*layers, nn.Linear(features, outputs))

    def forward(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch outputs"]:
        return self.layers(inputs)
