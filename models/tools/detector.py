"""Running and judging detectors of the YOLOX output form from Python, by their manifests; shared by the tools of this folder."""

import contextlib
import io
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import yaml
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

PICTURES = {".jpg", ".jpeg", ".png"}


def read_manifest(path: Path) -> dict:
    manifest = yaml.safe_load(path.read_text())
    if manifest.get("family") != "yolox" or manifest["input"]["resize"].get("anchor") != "top_left":
        raise SystemExit(f"{path}: only models of family yolox with a letterbox at the top left can be judged here")
    return manifest


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def pixels_of(picture: np.ndarray, manifest: dict) -> tuple[np.ndarray, float]:
    """The input tensor for a BGR picture, and the scale that boxes have to be divided by."""
    takes = manifest["input"]
    height, width = takes["height_px"], takes["width_px"]
    ratio = min(height / picture.shape[0], width / picture.shape[1])
    canvas = np.full((height, width, 3), takes["resize"]["pad_value"], np.uint8)
    size = (int(picture.shape[1] * ratio), int(picture.shape[0] * ratio))
    canvas[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    if takes["channel_order"] == "RGB":
        canvas = canvas[:, :, ::-1]
    tensor = (canvas.astype(np.float32) - np.float32(takes["mean"])) / np.float32(takes["std"])
    return np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]), ratio


def read_pictures(source: Path, limit: int) -> list[np.ndarray]:
    """Evenly spread over a folder of pictures or a clip."""
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix.lower() in PICTURES)
        step = max(1, len(paths) // limit)
        pictures = [cv2.imread(str(path)) for path in paths[::step][:limit]]
    else:
        capture = cv2.VideoCapture(str(source))
        step = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) // limit)
        pictures, at = [], 0
        while len(pictures) < limit:
            is_there, picture = capture.read()
            if not is_there:
                break
            if at % step == 0:
                pictures.append(picture)
            at += 1
    pictures = [picture for picture in pictures if picture is not None]
    if not pictures:
        raise SystemExit(f"{source} holds no picture that can be read")
    return pictures


class Labelled:
    """Photos with COCO annotations; classes are matched by name."""

    def __init__(self, images: Path, annotations: Path) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.truth = COCO(str(annotations))
        self.pictures = {key: cv2.imread(str(images / each["file_name"])) for key, each in self.truth.imgs.items()}
        absent = [self.truth.imgs[key]["file_name"] for key, picture in self.pictures.items() if picture is None]
        if absent:
            raise SystemExit(f"{len(absent)} of the annotated photos are not in {images}, first {absent[0]}")
        self.category_of = {each["name"]: each["id"] for each in self.truth.cats.values()}

    def judge(self, session: onnxruntime.InferenceSession, manifest: dict, only: set[str] | None = None) -> dict:
        """{'ap': mean, 'ap50': mean, 'classes': {name: (ap, ap50)}} over the classes that are labelled and that the model knows."""
        labels = [name for name in manifest["labels"] if name in self.category_of and (only is None or name in only)]
        results = [
            {"image_id": key, "category_id": self.category_of[name], "bbox": box, "score": score}
            for key, picture in self.pictures.items()
            for name, score, box in detect(session, manifest, picture, labels)
        ]
        if not results:
            return {"ap": 0.0, "ap50": 0.0, "classes": {}}
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self.truth, self.truth.loadRes(results), "bbox")
            evaluation.params.catIds = [self.category_of[name] for name in labels]
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][:, :, :, 0, 2]
        ids = list(evaluation.params.catIds)
        classes = {}
        for name in labels:
            values = precision[:, :, ids.index(self.category_of[name])]
            if (values > -1).any():
                classes[name] = (float(values[values > -1].mean()), float(values[0][values[0] > -1].mean()))
        means = np.mean(list(classes.values()), 0)
        return {"ap": float(means[0]), "ap50": float(means[1]), "classes": classes}


def detect(session, manifest: dict, picture: np.ndarray, labels: list[str], floor: float = 0.01, overlap: float = 0.65) -> list:
    """(label, score, [left, top, width, height] in pixels of the picture)."""
    tensor, ratio = pixels_of(picture, manifest)
    rows = session.run(None, {manifest["input"]["name"]: tensor})[0][0]
    cells, strides = [], []
    for stride in manifest["outputs"]["strides"]:
        grid = np.mgrid[: tensor.shape[2] // stride, : tensor.shape[3] // stride][::-1]
        cells.append(grid.reshape(2, -1).T)
        strides.append(np.full((cells[-1].shape[0], 1), stride))
    cell, stride = np.concatenate(cells), np.concatenate(strides)
    centre = (rows[:, :2] + cell) * stride / ratio
    size = np.exp(np.minimum(rows[:, 2:4], 10)) * stride / ratio
    found = []
    for name in labels:
        scores = rows[:, 4] * rows[:, 5 + manifest["labels"].index(name)]
        keep = scores > floor
        boxes = np.concatenate((centre[keep] - size[keep] / 2, size[keep]), 1)
        for at in np.array(cv2.dnn.NMSBoxes(boxes.tolist(), scores[keep].tolist(), floor, overlap)).reshape(-1):
            found.append((name, float(scores[keep][at]), boxes[at].tolist()))
    return found


def cpu_ms(sessions: dict[str, tuple[onnxruntime.InferenceSession, dict]], runs: int = 40) -> dict[str, float]:
    """Median CPU time of a run on one thread; the models take turns, so that a busy machine is unfair to none."""
    inputs = {
        name: np.random.default_rng(0).uniform(0, 255, session.get_inputs()[0].shape).astype(np.float32)
        for name, (session, _) in sessions.items()
    }
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(runs):
        for name, (session, manifest) in sessions.items():
            begun = time.process_time()
            session.run(None, {manifest["input"]["name"]: inputs[name]})
            times[name].append((time.process_time() - begun) * 1000)
    return {name: float(np.median(values)) for name, values in times.items()}


def rss_mb(model: Path, input_name: str) -> float:
    """Memory that loading and running the model adds, measured in a process of its own."""
    command = [sys.executable, __file__, str(model), input_name]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


def main() -> None:
    before = resident_mb()
    session = open_session(Path(sys.argv[1]).read_bytes())
    tensor = np.zeros(session.get_inputs()[0].shape, np.float32)
    for _ in range(5):
        session.run(None, {sys.argv[2]: tensor})
    print(json.dumps(resident_mb() - before))


if __name__ == "__main__":
    main()
