"""Residual networks for small images, such as 32 x 32 pixels (He et al. 2016, section 4.2)."""

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from modules.shapes import Float


class ResNet(nn.Module):
    """ResNet-(6 n + 2): a convolution, three stages of n blocks, each stage half as high and twice as deep, a mean over
    the pixels, and one linear layer. No block has more parameters than its two convolutions and their normalisation."""

    def __init__(self, *, input_shape: tuple[int, ...], outputs: int, blocks: int, channels: int) -> None:
        """`blocks`: n; 3 is ResNet-20, 9 is ResNet-56. `channels`: of the first stage; 16 in the paper."""
        super().__init__()
        if len(input_shape) != 3:
            raise ValueError(
                f"model: ResNet takes images (channels, height, width), not inputs of the shape {tuple(input_shape)}; "
                "choose model=mlp for a table, model=transformer_text for texts"
            )
        if min(input_shape[1:]) < 4:
            raise ValueError(f"model: ResNet needs images of at least 4 x 4 pixels, not {input_shape[1:]}")
        if min(blocks, channels) < 1:
            raise ValueError("model: blocks and channels must be at least 1")
        self.first = nn.Conv2d(input_shape[0], channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        stages: list[nn.Module] = []
        for stage in range(3):
            for block in range(blocks):
                halved = stage > 0 and block == 0
                leaving = channels * 2**stage
                stages.append(Block(leaving // 2 if halved else leaving, leaving, stride=2 if halved else 1))
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(4 * channels, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs"]:
        features = self.stages(relu(self.norm(self.first(images))))
        return self.classifier(features.mean((2, 3)))


class Block(nn.Module):
    """Two convolutions, and a shortcut around them; where the depth grows, zeros fill the shortcut (option A)."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added = leaving - entering
        self.layers = nn.Sequential(
            nn.Conv2d(entering, leaving, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(leaving),
            nn.ReLU(),
            nn.Conv2d(leaving, leaving, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(leaving),
        )

    def forward(
        self, features: Float[Tensor, "batch entering height width"]
    ) -> Float[Tensor, "batch leaving halved_height halved_width"]:
        shortcut = features[:, :, :: self.stride, :: self.stride]
        return relu(self.layers(features) + pad(shortcut, (0, 0, 0, 0, 0, self.added)))
