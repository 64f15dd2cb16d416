"""A transformer encoder for images, cut into patches, and for tokens, such as words (Vaswani et al. 2017)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from modules.shapes import Bool, Float, Int

PADDING = 0  # the token that fills the shorter sequences of a batch


class Transformer(nn.Module):
    """Blocks of attention and two linear layers, each normalised first; the mean over the tokens is classified."""

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        vocabulary: int | None = None,  # a fact of data sets of tokens
        patch: int | None,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
    ) -> None:
        """`patch`: the side of a patch in pixels, None for tokens. `width`: of a token's vector."""
        super().__init__()
        if min(width, layers, heads) < 1 or width % heads or not 0 <= dropout < 1:
            raise ValueError(
                "model: layers and heads must be at least 1, width a multiple of heads, dropout at least 0, below 1"
            )
        self.embed = _embedding(input_shape, vocabulary, patch, width)
        tokens = input_shape[0] if patch is None else (input_shape[1] // patch) * (input_shape[2] // patch)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, outputs)

    def forward(
        self,
        inputs: Float[Tensor, "batch channels height width"] | Int[Tensor, "batch length"],
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch outputs"]:
        """Of images, or of tokens; `mask`: which of them count, None: all but padding."""
        if mask is None and inputs.ndim == 2:
            mask = inputs != PADDING
        x = self.embed(inputs)
        if x.ndim == 4:
            x = x.flatten(2).transpose(1, 2)  # (batch, patches, width)
        x = self.dropout(x + self.position[: x.shape[1]])
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        if mask is None:
            return self.classifier(x.mean(1))
        counted = mask.unsqueeze(2).to(x.dtype)
        return self.classifier((x * counted).sum(1) / counted.sum(1).clamp(min=1))

    def keep_attention(self, keep: bool = True) -> None:
        """Whether each forward leaves its weights in `attention`."""
        for block in self.blocks:
            block.kept = keep  # pyright: ignore[reportArgumentType]

    @property
    def attention(self) -> list[Tensor]:
        """Of the last forward that kept it, for each layer: (batch, heads, tokens, tokens); a row adds up to 1."""
        return [block.attention for block in self.blocks]  # pyright: ignore[reportReturnType]


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.kept = False
        self.attention: Tensor | None = None
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        hidden = [nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)]
        self.feed_forward = nn.Sequential(nn.LayerNorm(width), *hidden, nn.Dropout(dropout))

    def forward(
        self, x: Float[Tensor, "batch tokens width"], mask: Bool[Tensor, "batch tokens"] | None
    ) -> Float[Tensor, "batch tokens width"]:
        x = x + self.dropout(self._attended(self.norm(x), mask))
        return x + self.feed_forward(x)

    def _attended(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, tokens, width = x.shape
        parts = self.query_key_value(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, width / heads)
        seen = None
        if mask is not None:  # a text without a token attends to all of its padding: no row may be empty
            seen = (mask | ~mask.any(1, keepdim=True))[:, None, None]
        if self.kept:
            scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
            scores = scores if seen is None else scores.masked_fill(~seen, -torch.inf)
            self.attention = scores.softmax(3).detach()
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.project(mixed.transpose(1, 2).reshape(batch, tokens, width))


def _embedding(input_shape: tuple[int, ...], vocabulary: int | None, patch: int | None, width: int) -> nn.Module:
    """From tokens to (batch, length, width), or from images to (batch, width, rows, columns)."""
    if vocabulary is not None:
        if patch is not None:
            raise ValueError("model: the data set holds tokens, not images; choose model=transformer_text")
        return nn.Embedding(vocabulary, width, padding_idx=PADDING)
    if patch is None or len(input_shape) != 3:
        raise ValueError(
            f"model: Transformer takes images or tokens, not inputs of the shape {tuple(input_shape)}; for a table "
            "choose model=mlp, for images model=transformer"
        )
    if patch < 1 or input_shape[1] % patch or input_shape[2] % patch:
        raise ValueError(f"model.patch: {patch} does not divide images of {input_shape[1]} x {input_shape[2]} pixels")
    return nn.Conv2d(input_shape[0], width, kernel_size=patch, stride=patch)
