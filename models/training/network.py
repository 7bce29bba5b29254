"""The network of sightline-nano: small plain convolutions (cheap on a CPU), a two-way neck, one light head for strides 8, 16 and 32.

Input: float32 [N,3,H,W], BGR, 0..255, or that less MEAN and over STD; H and W multiples of 32. Output while training: raw [N, cells, 11] with x, y, log w, log h, and the logits of
objectness and six classes; exported: the same with the sigmoid applied, which is the output form of YOLOX (arXiv 2107.08430).
"""

import torch
from torch import nn

CLASSES = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]
STRIDES = (8, 16, 32)
WIDTH = 64
# Of pixels. Padding of a picture is grey of this value, so that it is 0 behind it, like the padding of convolutions.
MEAN, STD = 114.0, 64.0


class Conv(nn.Sequential):
    def __init__(self, cin: int, cout: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(cout, eps=1e-3, momentum=0.03),
            nn.ReLU(inplace=True),
        )


class Split(nn.Module):
    """Half of the channels pass through `depth` residual 3x3 convolutions, the other half goes by (arXiv 1911.11929)."""

    def __init__(self, cin: int, cout: int, depth: int) -> None:
        super().__init__()
        half = cout // 2
        self.by = Conv(cin, half, 1)
        self.through = Conv(cin, half, 1)
        self.blocks = nn.ModuleList(Conv(half, half, 3) for _ in range(depth))
        self.join = Conv(2 * half, cout, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        through = self.through(x)
        for block in self.blocks:
            through = through + block(through)
        return self.join(torch.cat((self.by(x), through), 1))


class Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.box = nn.Sequential(Conv(width, width, 5, groups=width), Conv(width, width, 1))
        self.cls = nn.Sequential(Conv(width, width, 5, groups=width), Conv(width, width, 1))
        self.to_box = nn.Conv2d(width, 5, 1)
        self.to_cls = nn.Conv2d(width, len(CLASSES), 1)
        # Nearly every cell is background: starting there keeps the first steps from being all about it.
        nn.init.constant_(self.to_box.bias[4:], -4.6)
        nn.init.zeros_(self.to_box.bias[:4])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The output of this level [N, cells, 11], and the features that it comes from [N, cells, 2 * width]."""
        box, cls = self.box(x), self.cls(x)
        out = torch.cat((self.to_box(box), self.to_cls(cls)), 1)
        return out.flatten(2).transpose(1, 2), torch.cat((box, cls), 1).flatten(2).transpose(1, 2)


class Nano(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Multiples of 16 (and halves of them in Split): the runtime works on blocks of 16 channels, others are padded.
        self.stem = nn.Sequential(Conv(3, 16, 3, 2), Conv(16, 32, 3, 2))
        self.s8 = nn.Sequential(Conv(32, 64, 3, 2), Split(64, 64, 2))
        self.s16 = nn.Sequential(Conv(64, 96, 3, 2), Split(96, 96, 2))
        self.s32 = nn.Sequential(Conv(96, 192, 3, 2), Split(192, 192, 2))
        # Three times 5 one after another gives what 5, 9 and 13 side by side give, for less.
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.after_pool = Conv(4 * 192, 112, 1)
        width = WIDTH
        self.l16 = Conv(96, width, 1)
        self.l8 = Conv(64, width, 1)
        self.l32 = Conv(112, width, 1)
        self.up16 = Split(2 * width, width, 1)
        self.up8 = Split(2 * width, width, 1)
        self.down16 = Conv(width, width, 3, 2)
        self.down32 = Conv(width, width, 3, 2)
        self.out16 = Split(2 * width, width, 1)
        self.out32 = Split(2 * width, width, 1)
        self.heads = nn.ModuleList(Head(width) for _ in STRIDES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of pixels 0..255: output [N, cells, 11], and the features of the head [N, cells, 2 * WIDTH], which a teacher's can be held to."""
        return self.see((x - MEAN) * (1 / STD))

    def see(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of pixels less MEAN and over STD."""
        p8 = self.s8(self.stem(x))
        p16 = self.s16(p8)
        p32 = self.s32(p16)
        pooled = [p32]
        for _ in range(3):
            pooled.append(self.pool(pooled[-1]))
        p32 = self.l32(self.after_pool(torch.cat(pooled, 1)))
        up = nn.functional.interpolate
        n16 = self.up16(torch.cat((self.l16(p16), up(p32, scale_factor=2.0, mode="nearest")), 1))
        n8 = self.up8(torch.cat((self.l8(p8), up(n16, scale_factor=2.0, mode="nearest")), 1))
        n16 = self.out16(torch.cat((n16, self.down16(n8)), 1))
        n32 = self.out32(torch.cat((p32, self.down32(n16)), 1))
        outs, features = zip(*(head(level) for head, level in zip(self.heads, (n8, n16, n32))))
        return torch.cat(outs, 1), torch.cat(features, 1)


class Exported(nn.Module):
    def __init__(self, network: Nano) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """`images` less MEAN and over STD: whoever fills the input does that on the way, where it costs nothing."""
        out, _ = self.network.see(images)
        return torch.cat((out[..., :4], torch.sigmoid(out[..., 4:])), -1)


def grid(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Column and row of every cell [cells, 2], and its stride [cells, 1], in the order of the output."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        cells.append(torch.stack((columns, rows), -1).reshape(-1, 2))
        strides.append(torch.full((cells[-1].shape[0], 1), stride))
    return torch.cat(cells).float(), torch.cat(strides).float()
