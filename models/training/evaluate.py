"""AP of detectors in the output form of YOLOX on photos labelled as COCO: `python evaluate.py --images DIR --annotations COCO.json MODEL.onnx[:80] …`.

`:80` marks a model with the 80 classes of COCO, which takes pixels as they are. Same boxes rule for all: letterbox at the top left, score floor 0.01, suppression at 0.65; AP by pycocotools.
Beside it CPU time of one run on one thread, models in turn, medians.
"""

import argparse
import contextlib
import io
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from network import MEAN, STD

CATEGORIES = {"person": 1, "bicycle": 2, "car": 3, "motorcycle": 4, "bus": 6, "truck": 8}
INDEX_OF_80 = {"person": 0, "bicycle": 1, "car": 2, "motorcycle": 3, "bus": 5, "truck": 7}


class Detector:
    def __init__(self, spec: str) -> None:
        path, _, of_80 = spec.partition(":")
        self.name = Path(path).stem
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.height, self.width = self.input.shape[2:]
        self.mean, self.std = (0, 1) if of_80 else (MEAN, STD)
        self.classes = list(INDEX_OF_80.values()) if of_80 else list(range(len(CATEGORIES)))
        cells, strides = [], []
        for stride in (8, 16, 32):
            rows, columns = np.mgrid[: self.height // stride, : self.width // stride]
            cells.append(np.stack((columns, rows), -1).reshape(-1, 2))
            strides.append(np.full((rows.size, 1), stride))
        self.cells, self.strides = np.concatenate(cells), np.concatenate(strides)

    def pixels(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        ratio = min(self.height / picture.shape[0], self.width / picture.shape[1])
        canvas = np.full((self.height, self.width, 3), 114, np.uint8)
        width, height = int(picture.shape[1] * ratio), int(picture.shape[0] * ratio)
        canvas[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        return (canvas.transpose(2, 0, 1)[None].astype(np.float32) - self.mean) / np.float32(self.std), ratio

    def run(self, pixels: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.input.name: pixels})[0][0]

    def detect(self, picture: np.ndarray, floor: float = 0.01, overlap: float = 0.65) -> list[tuple[int, float, list[float]]]:
        """(class, score, [x, y, width, height] in pixels of the picture) of each object."""
        pixels, ratio = self.pixels(picture)
        out = self.run(pixels)
        centre = (out[:, :2] + self.cells) * self.strides / ratio
        size = np.exp(np.minimum(out[:, 2:4], 8)) * self.strides / ratio
        scores = out[:, 4:5] * out[:, 5:][:, self.classes]
        found = []
        for index in range(len(self.classes)):
            keep = scores[:, index] > floor
            boxes = np.concatenate((centre[keep] - size[keep] / 2, size[keep]), 1)
            kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores[keep, index].tolist(), floor, overlap)
            found += [(index, float(scores[keep, index][at]), boxes[at].tolist()) for at in np.array(kept).reshape(-1)]
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True)
    parser.add_argument("--annotations", required=True)
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(args.annotations)
    detectors = [Detector(spec) for spec in args.models]
    pictures = {key: cv2.imread(str(Path(args.images) / entry["file_name"])) for key, entry in truth.imgs.items()}
    for detector in detectors:
        results = [
            {"image_id": key, "category_id": list(CATEGORIES.values())[index], "bbox": box, "score": score}
            for key, picture in pictures.items()
            for index, score, box in detector.detect(picture)
        ]
        line = []
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
            evaluation.params.catIds = list(CATEGORIES.values())
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][:, :, :, 0, 2]
        for at, name in enumerate(CATEGORIES):
            values = precision[:, :, at]
            if (values > -1).any():
                line.append(f"{name} {values[values > -1].mean():.3f}/{values[0][values[0] > -1].mean():.3f}")
        print(f"{detector.name:28} AP/AP50: {'  '.join(line)}", flush=True)
    times: dict[str, list[float]] = {detector.name: [] for detector in detectors}
    sample = next(iter(pictures.values()))
    for _ in range(30):
        for detector in detectors:
            pixels, _ = detector.pixels(sample)
            begun = time.process_time()
            detector.run(pixels)
            times[detector.name].append((time.process_time() - begun) * 1000)
    print("CPU ms a run (median): " + "  ".join(f"{name} {np.median(values):.2f}" for name, values in times.items()))


if __name__ == "__main__":
    main()
