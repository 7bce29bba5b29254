"""Training samples for `finetune.py`: frames of the user's clips, moved, scaled, mirrored and recoloured, with the teacher's boxes."""

import math
import random
from pathlib import Path

import cv2
import numpy as np


class Frame:
    def __init__(self, file: Path, boxes: list[list[float]]) -> None:
        # Kept as JPEG: a thousand frames of a camera are 50 MB that way, and 1 GB as pixels.
        self.encoded = np.frombuffer(file.read_bytes(), np.uint8)
        # Left, top, width, height in pixels, score, number of the class.
        self.boxes = np.array(boxes, np.float32).reshape(-1, 6)

    def pixels(self) -> np.ndarray:
        return cv2.imdecode(self.encoded, cv2.IMREAD_COLOR)


class Sampler:
    """Half of what is drawn shows something wherever there is such a frame: a quiet camera would teach nothing but the empty scene."""

    def __init__(self, frames: list[Frame], takes: dict, rng: random.Random, also: list[Frame] = []) -> None:
        # What is drawn from: the clips, and where there are pictures of other places those as often.
        self.sources = [(each, [frame for frame in each if len(frame.boxes) > 0] or each) for each in (frames, also) if each]
        self.takes = takes
        self.rng = rng

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Input tensor [3, H, W] with pixels 0..255 in the model's channel order, and boxes [n, 6] in pixels of it."""
        rng = self.rng
        frames, busy = rng.choice(self.sources)
        frame = rng.choice(busy if rng.random() < 0.5 else frames)
        picture = frame.pixels()
        width, height = self.takes["width_px"], self.takes["height_px"]
        scale = min(height / picture.shape[0], width / picture.shape[1])
        move_x = move_y = 0.0
        if rng.random() < 0.7:
            scale *= math.exp(rng.uniform(-0.25, 0.35))
            move_x, move_y = (rng.uniform(-0.12, 0.12) * side + min(0, (side - length * scale) / 2) for side, length in ((width, picture.shape[1]), (height, picture.shape[0])))
        mirrored = rng.random() < 0.5
        if mirrored:
            picture = picture[:, ::-1]
        if scale < 0.6:  # warpAffine does not average: shrink first
            small = cv2.resize(picture, (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))), interpolation=cv2.INTER_AREA)
            drawn, ratio = small, 1.0
        else:
            drawn, ratio = picture, scale
        matrix = np.array([[ratio, 0, move_x], [0, ratio, move_y]], np.float32)
        pad = (self.takes["pad_value"],) * 3
        canvas = cv2.warpAffine(np.ascontiguousarray(drawn), matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=pad)
        boxes = frame.boxes.copy()
        if mirrored:
            boxes[:, 0] = picture.shape[1] - boxes[:, 0] - boxes[:, 2]
        boxes[:, :4] *= scale
        boxes[:, 0] += move_x
        boxes[:, 1] += move_y
        right, bottom = np.minimum(boxes[:, 0] + boxes[:, 2], width), np.minimum(boxes[:, 1] + boxes[:, 3], height)
        left, top = np.maximum(boxes[:, 0], 0), np.maximum(boxes[:, 1], 0)
        visible = np.maximum(right - left, 0) * np.maximum(bottom - top, 0) / np.maximum(boxes[:, 2] * boxes[:, 3], 1e-3)
        boxes[:, :4] = np.stack((left, top, right - left, bottom - top), 1)
        # What is mostly outside teaches neither that something is there nor that nothing is: its score falls with what is seen of it.
        boxes[:, 4] *= np.clip(visible * 1.6 - 0.4, 0, 1)
        boxes = boxes[(boxes[:, 4] > 0.02) & (boxes[:, 2] > 3) & (boxes[:, 3] > 3)]
        if self.takes["channel_order"] == "RGB":
            canvas = canvas[:, :, ::-1]
        return np.ascontiguousarray(recoloured(canvas, rng).transpose(2, 0, 1)), boxes


def recoloured(picture: np.ndarray, rng: random.Random) -> np.ndarray:
    if rng.random() < 0.4:
        return picture
    out = picture.astype(np.float32) * rng.uniform(0.75, 1.25) + rng.uniform(-15, 15)
    out *= np.array([rng.uniform(0.92, 1.08) for _ in range(3)], np.float32)
    if rng.random() < 0.15:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.15:
        out += np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(2, 8), out.shape[:2] + (1,)).astype(np.float32)
    return np.clip(out, 0, 255).astype(np.uint8)
