"""The loop that people write by hand: OpenCV decodes, numpy prepares, onnxruntime infers, one thread, JSON lines out.

Usage: by_hand.py CLIP MODEL.onnx FPS OUT.jsonl      (YOLOX models: letterbox at the top left, BGR, 0..255)
Prints one JSON object with the number of frames analysed.
"""
import json
import os
import sys
from collections.abc import Iterator

os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "threads;1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402

cv2.setNumThreads(1)

SCORE_THRESHOLD = 0.3
IOU_THRESHOLD = 0.45


def grids(size: int) -> tuple[np.ndarray, np.ndarray]:
    centres, strides = [], []
    for stride in (8, 16, 32):
        cells = size // stride
        ys, xs = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
        centres.append(np.stack([xs, ys], axis=-1).reshape(-1, 2))
        strides.append(np.full((cells * cells, 1), stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def sampled_frames(clip: str, fps: float) -> Iterator[tuple[int, np.ndarray]]:
    """Number and picture of each frame that is due."""
    capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG)
    step = (capture.get(cv2.CAP_PROP_FPS) or 25.0) / fps
    index, due = 0, 0.0
    while capture.grab():
        if index + 1e-6 >= due:
            due += step
            _, frame = capture.retrieve()
            yield index, frame
        index += 1


class Detector:
    def __init__(self, model: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name
        self.size = self.session.get_inputs()[0].shape[2]
        self.centres, self.strides = grids(self.size)

    def detect(self, frame: np.ndarray) -> list[dict]:
        size = self.size
        height, width = frame.shape[:2]
        ratio = min(size / height, size / width)
        padded = np.full((size, size, 3), 114, np.uint8)
        small = cv2.resize(frame, (int(width * ratio), int(height * ratio)), interpolation=cv2.INTER_LINEAR)
        padded[: small.shape[0], : small.shape[1]] = small
        tensor = np.ascontiguousarray(padded.transpose(2, 0, 1), np.float32)[None]
        rows = self.session.run(None, {self.name: tensor})[0][0]
        scores = rows[:, 4:5] * rows[:, 5:]
        classes = scores.argmax(1)
        best = scores[np.arange(len(classes)), classes]
        keep = best > SCORE_THRESHOLD
        centre = (rows[keep, :2] + self.centres[keep]) * self.strides[keep]
        extent = np.exp(rows[keep, 2:4]) * self.strides[keep]
        boxes = np.concatenate([centre - extent / 2, extent], 1) / ratio
        chosen = cv2.dnn.NMSBoxesBatched(boxes.tolist(), best[keep].tolist(), classes[keep].tolist(), SCORE_THRESHOLD, IOU_THRESHOLD)
        return [
            {"class_id": int(classes[keep][i]), "confidence": float(best[keep][i]), "bbox": [float(v) for v in boxes[i]]}
            for i in chosen
        ]


def main() -> None:
    clip, model, fps, out = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
    detector = Detector(model)
    analysed = 0
    with open(out, "w", encoding="utf-8") as results:
        for index, frame in sampled_frames(clip, fps):
            results.write(json.dumps({"frame": index, "objects": detector.detect(frame)}) + "\n")
            analysed += 1
    print(json.dumps({"frames": analysed}))


if __name__ == "__main__":
    main()
