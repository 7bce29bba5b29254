"""Fine-tunes a detector of the YOLOX form on frames that another model labelled: what `sightline models distil` and `prune` have trained.

    python finetune.py JOB.json

The job names the model, its input, the frames with their boxes, and how long. Lines of JSON come out: progress, then what was made; or an error
with exit code 3. Judging is not done here: the caller runs the result as it runs any model.
"""

import json
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F

from frames import Frame, Sampler
from onnx_network import OnnxNetwork, Unsupported, set_input_size
from pruning import prune

BATCH = 8
# Cells that a box may be learned at: the ones that fit it best so far (arXiv 2108.07755).
CELLS_A_BOX = 10


def say(**what) -> None:
    print(json.dumps(what), flush=True)


def grid(height: int, width: int, strides: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Column and row of every cell [cells, 2], and its stride [cells, 1], in the order of the output."""
    cells, sizes = [], []
    for stride in strides:
        rows, columns = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        cells.append(torch.stack((columns, rows), -1).reshape(-1, 2))
        sizes.append(torch.full((cells[-1].shape[0], 1), stride))
    return torch.cat(cells).float(), torch.cat(sizes).float()


def overlaps(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU (arXiv 1902.09630) of boxes as centre and size, broadcast."""
    a0, a1, b0, b1 = a[..., :2] - a[..., 2:] / 2, a[..., :2] + a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2
    inter = (torch.minimum(a1, b1) - torch.maximum(a0, b0)).clamp(min=0).prod(-1)
    union = (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inter).clamp(min=1e-6)
    hull = (torch.maximum(a1, b1) - torch.minimum(a0, b0)).prod(-1).clamp(min=1e-6)
    return inter / union, inter / union - (hull - union) / hull


class Lesson:
    """What the cells of one picture shall say, given what they say now."""

    def __init__(self, cells: torch.Tensor, strides: torch.Tensor) -> None:
        self.cells = cells
        self.strides = strides
        self.middles = (cells + 0.5) * strides

    def boxes(self, raw: torch.Tensor, where: torch.Tensor | slice = slice(None)) -> torch.Tensor:
        centre = (raw[..., :2] + self.cells[where]) * self.strides[where]
        return torch.cat((centre, raw[..., 2:4].clamp(-4, 6).exp() * self.strides[where]), -1)

    @torch.no_grad()
    def assign(self, out: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Score that each cell shall have [cells], the cells that learn a box, and which box of `boxes`."""
        score = torch.zeros(len(out))
        if len(boxes) == 0:
            return score, torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
        wanted = torch.cat((boxes[:, :2] + boxes[:, 2:4] / 2, boxes[:, 2:4]), 1)
        overlap, _ = overlaps(self.boxes(out)[None], wanted[:, None])
        seen = (out[:, 4] * out[:, 5:].T)[boxes[:, 5].long()]
        off = (self.middles[None] - wanted[:, None, :2]).abs()
        inside = (off < wanted[:, None, 2:] / 2).all(-1) & (off < 2.5 * self.strides[None, :, 0, None]).all(-1)
        # A box smaller than the cells has no middle of a cell in it: then the nearest cell of the finest stride.
        lost = ~inside.any(1)
        if lost.any():
            finest = self.strides[:, 0] == self.strides.min()
            distance = off.sum(-1) + torch.where(finest, 0.0, 1e6)
            inside[lost, distance[lost].argmin(1)] = True
        fit = (seen.clamp(min=1e-4).sqrt() * overlap.clamp(min=1e-3) ** 3) * inside
        best = fit.topk(min(CELLS_A_BOX, fit.shape[1]), 1)
        chosen = torch.zeros_like(inside).scatter_(1, best.indices, True) & inside
        fit = torch.where(chosen, fit, 0.0)
        quality = fit / fit.amax(1, keepdim=True).clamp(min=1e-9)
        quality = torch.where(chosen, boxes[:, 4:5] * quality, 0.0)
        strongest, of = quality.max(0)
        where = (strongest > 0.01).nonzero()[:, 0]
        return strongest, where, of[where]

    def loss(self, out: torch.Tensor, pictures: list[torch.Tensor]) -> torch.Tensor:
        scores, wheres, rows, wanted, classes = [], [], [], [], []
        for raw, boxes in zip(out, pictures):
            score, where, of = self.assign(raw, boxes)
            scores.append(score)
            wheres.append(where)
            rows.append(raw[where])
            wanted.append(torch.cat((boxes[of, :2] + boxes[of, 2:4] / 2, boxes[of, 2:4]), 1))
            classes.append(boxes[of, 5].long())
        score = torch.stack(scores)
        total = score.sum().clamp(min=1.0)
        says = out[..., 4].clamp(1e-6, 1 - 1e-6)
        # Quality focal loss (arXiv 2006.04388).
        focal = (F.binary_cross_entropy(says, score, reduction="none") * (says.detach() - score).abs().pow(2)).sum() / total
        if sum(len(where) for where in wheres) == 0:
            return 1.5 * focal
        where, row, want = torch.cat(wheres), torch.cat(rows), torch.cat(wanted)
        weight = torch.cat([each[at] for each, at in zip(scores, wheres)])
        kinds = F.one_hot(torch.cat(classes), row.shape[1] - 5).float()
        kind = (F.binary_cross_entropy(row[:, 5:].clamp(1e-6, 1 - 1e-6), kinds, reduction="none").sum(1) * weight).sum() / total
        _, general = overlaps(self.boxes(row, where), want)
        box = ((1 - general) * weight).sum() / total
        target = torch.cat((want[:, :2] / self.strides[where] - self.cells[where], (want[:, 2:] / self.strides[where]).clamp(min=1e-2).log()), 1)
        near = (F.smooth_l1_loss(row[:, :4], target, reduction="none", beta=0.2).sum(1) * weight).sum() / total
        return 1.5 * focal + kind + 2.0 * box + 0.5 * near


def batch_of(sampler: Sampler, takes: dict) -> tuple[torch.Tensor, list[torch.Tensor]]:
    drawn = [sampler.draw() for _ in range(BATCH)]
    pixels = torch.from_numpy(np.stack([picture for picture, _ in drawn])).float()
    form = (1, 3, 1, 1)
    pixels = (pixels - torch.tensor(takes["mean"]).view(form)) / torch.tensor(takes["std"]).view(form)
    return pixels.contiguous(memory_format=torch.channels_last), [torch.from_numpy(boxes) for _, boxes in drawn]


def train(network: OnnxNetwork, sampler: Sampler, job: dict) -> int:
    takes = job["input"]
    lesson = Lesson(*grid(takes["height_px"], takes["width_px"], job["strides"]))
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], lr=job["lr"], fused=True)
    averages = [p.detach().clone() for p in network.parameters()]
    seconds = job["minutes"] * 60
    begun = told = time.monotonic()
    step, sums, count = 0, 0.0, 0
    while True:
        now = time.monotonic()
        progress = max((now - begun) / seconds, step / job["max_steps"])
        if progress >= 1:
            break
        rate = job["lr"] * min(1, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        pixels, boxes = batch_of(sampler, takes)
        with torch.autocast("cpu", torch.bfloat16, enabled=job["bfloat16"]):
            out = network(pixels)
        loss = lesson.loss(out.float(), boxes)
        if not torch.isfinite(loss):
            raise Unsupported("the loss is not a number: the learning rate is too high for this model")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        step += 1
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(averages, list(network.parameters()), 1 - decay)
        sums, count = sums + float(loss.detach()), count + 1
        if now - told > 5:
            say(kind="progress", share=round(min(1, progress), 4), step=step, loss=round(sums / count, 4))
            told, sums, count = now, 0.0, 0
    with torch.no_grad():
        for parameter, average in zip(network.parameters(), averages):
            parameter.copy_(average)
    return step


@torch.no_grad()
def keep(network: OnnxNetwork, before: list[tuple[torch.Tensor, torch.Tensor]], share: float) -> None:
    """The mean of what it was and what it became (arXiv 2109.01903): near what it learned on its clips, and far less of all else is forgotten."""
    for convolution, (weight, bias) in zip(network.convolutions.values(), before):
        convolution.direction.copy_(torch.lerp(convolution.weight(), weight, share))
        convolution.length.fill_(1.0)
        convolution.bias.lerp_(bias, share)


def main() -> int:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(job["seed"])
    torch.set_num_threads(job["threads"])
    takes = job["input"]
    try:
        model = onnx.load(job["model"])
        set_input_size(model, takes["width_px"], takes["height_px"], job["strides"])
        pruned = None
        if job.get("prune") is not None:
            model, pruned = prune(model, job["prune"])
            say(kind="pruned", **pruned)
        network = OnnxNetwork(model).train()
        before = [(each.weight().detach().clone(), each.bias.detach().clone()) for each in network.convolutions.values()]
        frames = [Frame(Path(each["file"]), each["boxes"]) for each in job["frames"]]
        also = [Frame(Path(each["file"]), each["boxes"]) for each in job["also"]]
        steps = train(network, Sampler(frames, takes, random.Random(job["seed"]), also), job)
        keep(network, before, job["keep"])
        made = network.written()
        onnx.checker.check_model(made)
    except Unsupported as error:
        say(kind="refused", reason=str(error))
        return 3
    onnx.save(made, job["out"])
    say(kind="made", file=job["out"], steps=steps, weights=sum(p.numel() for p in network.parameters()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
