"""Trains sightline-nano by dense distillation: `python train.py --data DATA --out DIR --minutes 60`. Resumes from DIR/last.pt.

Every cell of the student learns what the same cell of YOLOX-nano says of the same pixels: score (quality focal loss, arXiv 2006.04388), class
(relative to the best), and box (L1 and GIoU, arXiv 1902.09630), weighted by the teacher's score; and the features of its head, through a linear
map that is thrown away, are held to those of the teacher's (FitNets, arXiv 1412.6550), which teaches from every cell and not only where something is.
A second process makes samples; each is used several times, mirrored at random.
"""

import argparse
import csv
import math
import multiprocessing
import os
import queue
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import samples
from network import STRIDES, WIDTH, Nano, grid


def produce(data: str, seed: int, more_clips: list[str], out: multiprocessing.Queue) -> None:
    import cv2

    cv2.setNumThreads(1)
    root = Path(data)
    clips = [root / "videos" / name for name in TRAIN_CLIPS] + [Path(name) for name in more_clips]
    groups = samples.read_photos(root / "train" / "images")
    groups["clips"] = [picture for clip in clips for picture in samples.read_clip(clip)]
    # Larger than the photos are: small things are seen better so, and what is seen for sure is held to be there at all sizes.
    onlooker = samples.load_teacher(root / "models" / "yolox_nano.onnx", 608, features=False)
    for picture in (picture for pictures in groups.values() for picture in pictures if not picture.whole):
        picture.look(onlooker, 608)
    pool = samples.Pool(groups)
    teacher = samples.load_teacher(root / "models" / "yolox_nano.onnx")
    rng = random.Random(seed)
    np.random.seed(seed)
    while True:
        canvas = samples.augmented(pool, rng)
        out.put((canvas.pixels, samples.teach(teacher, canvas)))


# Held out for judging: one-by-one-person-detection, worker-zone, face-demographics.
TRAIN_CLIPS = [
    "udacity-solidWhiteRight.mp4",
    "car-detection.mp4",
    "person-bicycle-car-detection-preview.mp4",
    "classroom-preview.mp4",
]

PERSON_WEIGHT = 1.5


class Replay:
    """The latest samples, to draw from again."""

    def __init__(self, capacity: int) -> None:
        self.items: list[tuple[np.ndarray, np.ndarray]] = []
        self.capacity = capacity
        self.at = 0

    def add(self, item: tuple[np.ndarray, np.ndarray]) -> None:
        if len(self.items) < self.capacity:
            self.items.append(item)
        else:
            self.items[self.at] = item
            self.at = (self.at + 1) % self.capacity


def mirrored(picture: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = picture.shape[0]
    parts, start = [], 0
    for stride in (8, 16, 32):
        side = size // stride
        part = target[start : start + side * side].reshape(side, side, -1)[:, ::-1].copy()
        # A teacher's x is an offset from the column: column + x mirrors to (side - column - x), and the new column is side - 1 - column.
        part[..., 0] = 1 - part[..., 0]
        parts.append(part.reshape(side * side, -1))
        start += side * side
    return np.ascontiguousarray(picture[:, ::-1]), np.concatenate(parts)


def giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of boxes as centre and size [n, 4]."""
    a0, a1, b0, b1 = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    inter = (torch.minimum(a1, b1) - torch.maximum(a0, b0)).clamp(min=0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - inter
    hull = (torch.maximum(a1, b1) - torch.minimum(a0, b0)).prod(1).clamp(min=1e-6)
    return inter / union.clamp(min=1e-6) - (hull - union) / hull


class Mimic(torch.nn.Module):
    """Distance of the student's features to the teacher's, channels of which are brought to mean 0 and deviation 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.maps = torch.nn.ModuleList(torch.nn.Linear(WIDTH, width) for _ in range(2 * len(STRIDES)))
        self.register_buffer("mean", torch.zeros(len(STRIDES), 2 * width))
        self.register_buffer("deviation", torch.ones(len(STRIDES), 2 * width))
        self.counts = [(samples.SIZE // stride) ** 2 for stride in STRIDES]

    def measure(self, theirs: torch.Tensor) -> None:
        for level, part in enumerate(theirs.split(self.counts, 1)):
            self.mean[level] = part.mean((0, 1))
            self.deviation[level] = part.std((0, 1)).clamp(min=1e-3)

    def forward(self, ours: torch.Tensor, theirs: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
        # All cells with something on them and a fifth of the others: background is alike, and all of it would cost a quarter of a step.
        chosen = (score > 0.05) | (torch.rand_like(score) < 0.2)
        parts, weights = [], []
        levels = (tensor.split(self.counts, 1) for tensor in (ours, theirs, score, chosen))
        for level, (mine, wanted, scores, take) in enumerate(zip(*levels)):
            box, cls = mine[take].split(WIDTH, 1)
            mapped = torch.cat((self.maps[2 * level](box), self.maps[2 * level + 1](cls)), 1)
            parts.append(F.smooth_l1_loss(mapped, (wanted[take] - self.mean[level]) / self.deviation[level], reduction="none").mean(1))
            weights.append(0.2 + scores[take])
        weight = torch.cat(weights)
        return (torch.cat(parts) * weight).sum() / weight.sum()


def losses(out: torch.Tensor, target: torch.Tensor, cells: torch.Tensor, strides: torch.Tensor):
    score = target[..., 4]
    # People are what most cameras are asked for, and what a small network misses most.
    person = 1 + (PERSON_WEIGHT - 1) * target[..., 5] * (score > 0.04)
    total = (score * person).sum().clamp(min=1.0)
    logit = out[..., 4]
    quality = (torch.sigmoid(logit) - score).abs().pow(2) * person
    objectness = (F.binary_cross_entropy_with_logits(logit, score, reduction="none") * quality).sum() / total
    strong = score > 0.04
    weight = (score * person)[strong]
    classes = (
        F.binary_cross_entropy_with_logits(out[..., 5:][strong], target[..., 5:11][strong], reduction="none").sum(1) * weight
    ).sum() / total
    where = strong.nonzero()[:, 1]

    def boxes(raw: torch.Tensor) -> torch.Tensor:
        centre = (raw[:, :2] + cells[where]) * strides[where]
        return torch.cat((centre, raw[:, 2:4].clamp(-4, 5).exp() * strides[where]), 1)

    ours, theirs = out[..., :4][strong], target[..., :4][strong]
    overlap = ((1 - giou(boxes(ours), boxes(theirs))) * weight).sum() / total
    near = (F.smooth_l1_loss(ours, theirs, reduction="none", beta=0.2).sum(1) * weight).sum() / total
    return 1.5 * objectness, classes, 2.0 * overlap, 0.5 * near


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with train/images, videos and models/yolox_nano.onnx")
    parser.add_argument("--out", required=True)
    parser.add_argument("--clip", action="append", default=[], help="a further clip to learn from, for example the demo scene")
    parser.add_argument("--minutes", type=float, default=60, help="processor time of the whole schedule, of all threads that learn: a pause or a busy machine makes it later, not shorter")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    out_dir = Path(args.out)
    out_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    network = Nano().to(memory_format=torch.channels_last)
    average = Nano()
    average.load_state_dict(network.state_dict())
    mimic = Mimic(64)
    parameters = [*network.parameters(), *mimic.parameters()]
    decayed = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, fused=True)
    step, spent = 0, 0.0
    checkpoint = out_dir / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        mimic.load_state_dict(state["mimic"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters, from step {step}", flush=True)

    ready: multiprocessing.Queue = multiprocessing.Queue(128)
    producer = multiprocessing.Process(target=produce, args=(args.data, args.seed + step, args.clip, ready), daemon=True)
    producer.start()
    replay = Replay(6000)
    rng = random.Random(args.seed + step)
    cells, strides = grid(samples.SIZE, samples.SIZE)
    log = csv.writer(open(out_dir / "log.csv", "a", newline="", buffering=1))
    while len(replay.items) < 128:  # the clock starts with the first step, not while photos are read
        replay.add(ready.get())
    if step == 0:
        mimic.measure(torch.from_numpy(np.stack([target for _, target in replay.items])).float()[..., 11:])
    begun, told, sums = time.process_time() - spent, time.monotonic(), np.zeros(5)
    count, saved = 0, time.monotonic()
    network.train()
    pairs = [(ours, theirs) for ours, theirs in zip(average.state_dict().values(), network.state_dict().values())]
    floats = [pair for pair in pairs if pair[0].dtype.is_floating_point]
    while time.process_time() - begun < args.minutes * 60:
        for _ in range(args.batch):
            try:
                replay.add(ready.get(timeout=0.005))
            except queue.Empty:
                break
        drawn = [rng.choice(replay.items) for _ in range(args.batch)]
        drawn = [mirrored(*item) if rng.random() < 0.5 else item for item in drawn]
        pixels = torch.from_numpy(np.stack([picture for picture, _ in drawn]).transpose(0, 3, 1, 2)).float()
        pixels = (pixels * (0.85 + 0.3 * torch.rand(len(drawn), 1, 1, 1))).clamp(0, 255)
        target = torch.from_numpy(np.stack([target for _, target in drawn])).float()
        progress = (time.process_time() - begun) / (args.minutes * 60)
        rate = args.lr * min(1, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, progress))))
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            out, features = network(pixels.contiguous(memory_format=torch.channels_last))
        parts = (*losses(out.float(), target, cells, strides), 1.5 * mimic(features.float(), target[..., 11:], target[..., 4]))
        optimizer.zero_grad(set_to_none=True)
        sum(parts).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
        step += 1
        count += 1
        decay = min(0.999, (1 + step) / (20 + step))
        with torch.no_grad():
            torch._foreach_lerp_([ours for ours, _ in floats], [theirs for _, theirs in floats], 1 - decay)
        sums += np.array([float(part.detach()) for part in parts])
        now = time.monotonic()
        if now - told > 30:
            row = [step, round((time.process_time() - begun) / 60, 1), round(rate, 6), *(round(v, 4) for v in sums / count), round(count * args.batch / (now - told), 1)]
            log.writerow(row)
            print(*row, len(replay.items), ready.qsize(), flush=True)
            told, sums, count = now, np.zeros(5), 0
        if now - saved > 120:
            save(checkpoint, network, average, mimic, optimizer, step, time.process_time() - begun)
            saved = now
    save(checkpoint, network, average, mimic, optimizer, step, time.process_time() - begun)
    producer.kill()
    os._exit(0)


def save(path: Path, network: Nano, average: Nano, mimic: Mimic, optimizer, step: int, spent: float) -> None:
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "mimic": mimic.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "spent": spent,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


if __name__ == "__main__":
    main()
