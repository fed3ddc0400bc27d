"""The tracker's network: a mobile backbone, correlation with the target, and words that steer it.

Backbone and correlation head have the layers of NanoTrack V2 (github.com/HonglinChu/NanoTrack,
Apache-2.0), whose weights they may begin with. What listens is COST's (independent implementation
from its published figure): language tokens, visual tokens and a learnt [OBJ] in one transformer
encoder, where [OBJ] scores the visual tokens and each of these corrects a box.
"""

import math

import torch
from torch import Tensor, nn

from edgesdk_training.nets.word_map import CHANNELS, SCALE, STRIDE, WordMap, pixels_of

# (inputs, hidden, outputs, kernel, stride, squeeze, hard swish); the first has no expansion.
BLOCKS = (
    (16, 16, 16, 3, 2, 8, False), (16, 72, 24, 3, 2, 0, False), (24, 88, 24, 3, 1, 0, False),
    (24, 96, 40, 5, 2, 24, True), (40, 240, 40, 5, 1, 64, True), (40, 240, 40, 5, 1, 64, True),
    (40, 120, 48, 5, 1, 32, True), (48, 144, 48, 5, 1, 40, True),
)  # fmt: skip
TOWER, DEPTH = 96, 6


class Squeeze(nn.Module):
    """Squeeze and excitation: each channel is weighed by the means of all."""

    def __init__(self, channels: int, hidden: int, gate: nn.Module) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, channels, H, W] weighed."""
        mean = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.up(torch.relu(self.down(mean))))


class Block(nn.Module):
    """Expansion, depthwise convolution, squeeze, projection; added to its input where it fits."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, kernel: int, stride: int, squeeze: int,
        swish: bool, dilation: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.adds = stride == 1 and inputs == outputs
        act = nn.Hardswish if swish else nn.ReLU
        weigh = Squeeze(hidden, squeeze, nn.Hardsigmoid()) if squeeze else nn.Identity()
        depthwise = nn.Conv2d(
            hidden, hidden, kernel, stride, kernel // 2 * dilation, dilation, groups=hidden
        )
        parts: list[nn.Module] = [nn.Conv2d(inputs, hidden, 1), act(), depthwise, weigh, act()]
        if inputs == hidden:
            parts = [depthwise, act(), weigh]
        self.parts = nn.Sequential(*parts, nn.Conv2d(hidden, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        return x + self.parts(x) if self.adds else self.parts(x)


class Backbone(nn.Module):
    """RGB 0..255 [N, 3, S, S] to features [N, 48, S / 16, S / 16], or S / 8 where dilated.

    Dilated as in TransT: the last stride becomes 1, the kernels behind it are spread by 2. It stays
    in float at int8: its values reach too far for 8 bits, and what it loses, all behind it lose.
    """

    in_float = True

    def __init__(self, dilated: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.Hardswish())
        late = 3
        blocks = []
        for i, row in enumerate(BLOCKS):
            stride, dilation = row[4], 2 if dilated and i > late else 1
            stride = 1 if dilated and i == late else stride
            blocks.append(Block(*row[:4], stride, *row[5:], dilation=dilation))
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        return self.blocks(self.stem(x))


class Correlation(nn.Module):
    """Pixelwise correlation: one map per cell of the memory, weighed as by `Squeeze`."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.kernel = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.search = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.weigh = Squeeze(cells, cells, nn.Sigmoid())

    def forward(self, memory: Tensor, features: Tensor) -> Tensor:
        """Return [N, cells, H, W]."""
        kernel = self.kernel(memory).flatten(2).transpose(1, 2)
        maps = kernel @ self.search(features).flatten(2)
        return self.weigh(maps.unflatten(2, features.shape[2:]))


def tower(inputs: int, outputs: int) -> nn.Sequential:
    """Return six depthwise separable convolutions and the prediction."""
    layers: list[nn.Module] = []
    for i in range(DEPTH):
        width = inputs if i == 0 else TOWER
        layers += [nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False)]
        layers += [nn.Conv2d(width, TOWER, 1), nn.ReLU6()]
    return nn.Sequential(*layers, nn.Conv2d(TOWER, outputs, 1))


class CorrelationHead(nn.Module):
    """Where the target's features are found again, and its box as seen from each cell."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.box_corr, self.score_corr = Correlation(cells), Correlation(cells)
        self.score_tower, self.box_tower = tower(cells, 2), tower(cells, 4)

    def forward(self, memory: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [N, 1, H, W], log distances [N, 4, H, W], maps [N, cells, H, W]."""
        maps = self.score_corr(memory, features)
        sides = self.score_tower(maps)
        return (
            sides[:, 1:] - sides[:, :1],
            self.box_tower(self.box_corr(memory, features)),
            maps,
        )


class Attention(nn.Module):
    """Multi-head attention in plain operators."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Return [N, T, width]: what `x` [N, T, width] reads in `other` [N, U, width]."""
        q, k, v = self._split(self.q(x)), self._split(self.k(other)), self._split(self.v(other))
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, x.shape[2] // self.heads)).transpose(1, 2)


class Layer(nn.Module):
    """A pre-norm transformer layer; `other` may be another stream's tokens."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Return [N, T, width]."""
        own = self.norm(x)
        x = x + self.attention(own, own if other is None else self.norm(other))
        return x + self.mlp(self.norm2(x))


class Language(nn.Module):
    """Hashed words [N, L, D] to tokens [N, L, width] through a tiny encoder."""

    def __init__(self, words: int, dims: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(dims, width)
        self.place = nn.Parameter(torch.randn(1, words, width) * 0.02)
        self.layer = Layer(width)

    def forward(self, text: Tensor) -> Tensor:
        """Return the language tokens."""
        return self.layer(self.embed(text) + self.place)


class Fusion(nn.Module):
    """[OBJ], visual and language tokens in one encoder; [OBJ] scores, visual tokens correct."""

    def __init__(self, cells: int, width: int, layers: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(1, cells, width) * 0.02)
        self.object = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.ask, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.box = nn.Linear(width, 4)
        for layer in (self.ask, self.box):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, visual: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores [N, 1, cells] and corrections of boxes [N, 4, cells]."""
        cells = visual.shape[1]
        tokens = self.layout(visual, words)
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens)
        seen = tokens[:, 1 : 1 + cells]
        scores = self.ask(tokens[:, :1]) @ self.key(seen).transpose(1, 2)
        return scores / math.sqrt(seen.shape[2]), self.box(seen).transpose(1, 2)

    def layout(self, visual: Tensor, words: Tensor) -> Tensor:
        """Return the tokens [N, 1 + cells + L, width]: [OBJ], the picture's, the sentence's."""
        # A sum, not expand: a free batch is lost by some converters.
        first = self.object + 0 * visual[:, :1]
        return torch.cat([first, visual + self.place, words], 1)


class LightTracker(nn.Module):
    """One graph of one frame: picture, memory of the target and words in, scores and boxes out.

    The memory is the middle of the features of an earlier frame's crop, which is an output: so
    the target is seen once, and a session keeps it.
    """

    def __init__(
        self, size: int, words: int, dims: int, width: int, layers: int, memory: int, hears: int = 0
    ) -> None:
        super().__init__()
        self.side = size // STRIDE
        self.backbone = Backbone()
        self.head = CorrelationHead(memory**2)
        self.see = nn.Linear(CHANNELS + memory**2, width)
        self.language = Language(words, dims, width)
        self.fusion = Fusion(self.side**2, width, layers)
        self.words = WordMap(words, dims, hears) if hears else None

    def forward(self, image: Tensor, memory: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        """Return score [N, 1, H, W] in 0..1, box [N, 4, H, W] and features [N, 48, H, W].

        Boxes are distances to left, top, right and bottom from the middle of a cell, in pixels
        of the crop.
        """
        features = self.backbone(image)
        score, box = self.decide(features, memory * SCALE, text)
        if self.words is not None:
            score = score + self.words(pixels_of(image), features, text)
        return torch.sigmoid(score), box, features / SCALE

    def decide(self, features: Tensor, memory: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        """Return logits, those of the word map not yet added, and boxes.

        Args:
            features: Of the crop.
            memory: Of the target.
            text: The sentence.
        """
        score, distances, maps = self.head(memory, features)
        more, moved = self.fusion(self._tokens(features, maps), self.language(text))
        shape = features.shape[2:]
        return (
            score + more.unflatten(2, shape),
            torch.exp((distances + moved.unflatten(2, shape)).clamp(-4, 6)),
        )

    def visual(self, features: Tensor, memory: Tensor) -> Tensor:
        """Return the visual tokens [N, H * W, width]."""
        return self._tokens(features, self.head.score_corr(memory, features))

    def _tokens(self, features: Tensor, maps: Tensor) -> Tensor:
        return self.see(torch.cat([features, maps / 64], 1).flatten(2).transpose(1, 2))


def searching_less(state: dict[str, Tensor], cells: int) -> dict[str, Tensor]:
    """Return a light tracker's weights for a crop of fewer cells along a side, its middle.

    All layers but the places of tokens know no size.
    """
    place = state["fusion.place"]
    side = math.isqrt(place.shape[1])
    skip = (side - cells) // 2
    inside = slice(skip, skip + cells)
    grid = place.unflatten(1, (side, side))[:, inside, inside]
    return {**state, "fusion.place": grid.flatten(1, 2)}


class FaithfulTracker(nn.Module):
    """COST's layout at the project's width: 20 x 20 visual tokens, 40 of language, one [OBJ].

    The streams of template and search look at themselves and at each other, a decoder reads the
    search with its own queries (the box must live on its grid), and a valid 5 x 5 convolution
    leaves 400 of the 24 x 24 cells of 192 px. Inputs and outputs are those of `LightTracker`.
    """

    def __init__(
        self, size: int, words: int, dims: int, width: int, layers: int, memory: int
    ) -> None:
        super().__init__()
        self.side = size // STRIDE * 2
        cells = self.side - 4
        self.backbone = Backbone(dilated=True)
        self.see = nn.Linear(CHANNELS, width)
        self.place = nn.Parameter(torch.randn(1, self.side**2, width) * 0.02)
        self.place_memory = nn.Parameter(torch.randn(1, memory**2, width) * 0.02)
        self.own, self.cross = (
            nn.ModuleList(Layer(width) for _ in range(2 * layers)) for _ in range(2)
        )
        self.decoder = Layer(width)
        self.narrow = nn.Conv2d(width, width, 5)
        self.language = Language(words, dims, width)
        self.fusion = Fusion(cells**2, width, layers)

    def forward(self, image: Tensor, memory: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        """Return score [N, 1, C, C] in 0..1, box [N, 4, C, C] and features [N, 48, S, S]."""
        features = self.backbone(image)
        score, box = self.decide(features, memory * SCALE, text)
        return torch.sigmoid(score), box, features / SCALE

    def decide(self, features: Tensor, memory: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        """Return logits and boxes from features of the crop and of the target."""
        visual = self.visual(features, memory)
        scores, moved = self.fusion(visual, self.language(text))
        cells = (self.side - 4, self.side - 4)
        boxes = torch.exp((moved.unflatten(2, cells) + 3.5).clamp(-4, 6))
        return scores.unflatten(2, cells), boxes

    def visual(self, features: Tensor, memory: Tensor) -> Tensor:
        """Return the visual tokens [N, C * C, width]."""
        search = self.see(features.flatten(2).transpose(1, 2)) + self.place
        target = self.see(memory.flatten(2).transpose(1, 2)) + self.place_memory
        for i in range(0, len(self.own), 2):
            search, target = self.own[i](search), self.own[i + 1](target)
            search, target = self.cross[i](search, target), self.cross[i + 1](target, search)
        search = self.decoder(search, target)
        grid = search.transpose(1, 2).unflatten(2, (self.side, self.side))
        return self.narrow(grid).flatten(2).transpose(1, 2)
