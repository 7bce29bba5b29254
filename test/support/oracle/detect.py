"""Reference detections for the oracle test: onnxruntime and numpy, decoding as the families' authors describe it.

    python test/support/oracle/detect.py --data ../shared/data --out test/fixtures/oracle [--pixels DIR]

Needs: pip install onnxruntime numpy; ffmpeg in PATH. Both sides start from identical pixels: ffmpeg scales a picture to the model's input
(bilinear, in its portable arithmetic) to planar green, blue, red bytes. Their sha256 is kept with the boxes, so that a test that makes the pixels anew knows
whether it has the same. Only numbers are written. Boxes are pixels of the model's input: x1, y1, x2, y2, score, class.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess

import numpy as np
import onnxruntime

CASES = [
    # picture, seconds into it (None: a still)
    ("images/coco_labelled/000000000785.jpg", None),
    ("images/coco_labelled/000000000885.jpg", None),
    ("images/coco_labelled/000000001000.jpg", None),
    ("images/coco_labelled/000000001296.jpg", None),
    ("images/coco_labelled/000000007281.jpg", None),
    ("images/coco_labelled/000000010707.jpg", None),
    ("images/udacity_road/vehicle_test1.jpg", None),
    ("videos/one-by-one-person-detection.mp4", 12.0),
    ("videos/udacity-solidWhiteRight.mp4", 2.0),
    ("videos/person-bicycle-car-detection-preview.mp4", 1.0),
    ("videos/classroom-preview.mp4", 1.0),
]

MODELS = {
    "fastestdet": dict(file="models/FastestDet.onnx", family="fastestdet", size=352, score=0.6, iou=0.45),
    "person_yolox_192": dict(file="models/person_yolox_192.onnx", family="yolox", size=192, score=0.3, iou=0.45),
    "ultraface_rfb_320": dict(file="models/face_version-RFB-320.onnx", family="ultraface", size=320, height=240, score=0.7, iou=0.3),
    "yunet": dict(file="models/face_yunet_2023mar_dyn.onnx", family="yunet", size=640, score=0.7, iou=0.3),
    "yolox_nano": dict(file="models/yolox_nano.onnx", family="yolox", size=416, score=0.3, iou=0.45),
    "picodet_s_320": dict(file="models/picodet_s_320_coco_noinit.onnx", family="picodet", size=320, score=0.4, iou=0.6),
    "picodet_s_416": dict(file="models/picodet_s_416_coco_noinit.onnx", family="picodet", size=416, score=0.4, iou=0.6),
}


def picture_size(path):
    line = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0", path],
        check=True, capture_output=True, text=True,
    ).stdout.strip()
    width, height = line.split(",")[:2]
    return int(width), int(height)


def planar_pixels(path, second, width, height):
    """Green, blue and red planes, one after another."""
    seek = [] if second is None else ["-ss", str(second)]
    return subprocess.run(
        ["ffmpeg", "-v", "error", *seek, "-i", path, "-frames:v", "1", "-vf", f"scale={width}:{height}:flags=bilinear+accurate_rnd+full_chroma_int+bitexact",
         "-f", "rawvideo", "-pix_fmt", "gbrp", "pipe:1"],
        check=True, capture_output=True,
    ).stdout


def overlaps(box, boxes):
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return shared / (area(box) + area(boxes) - shared)


def suppress(boxes, scores, classes, limit, points=None):
    """Rows of x1 y1 x2 y2 score class, best first; `points` of each box after that."""
    kept = []
    for each in np.unique(classes):
        left = np.flatnonzero(classes == each)
        left = left[np.argsort(-scores[left], kind="stable")]
        while len(left):
            kept.append(left[0])
            left = left[1:][overlaps(boxes[left[0]], boxes[left[1:]]) <= limit]
    kept = sorted(kept, key=lambda index: -scores[index])
    more = [[]] * len(boxes) if points is None else points
    return [[*map(float, boxes[i]), float(scores[i]), int(classes[i]), *map(float, more[i])] for i in kept]


def yolox(session, planes, model):
    """Letterbox at the top left on 114, blue green red, 0..255. One class a cell, as in the authors' evaluation."""
    size = model["size"]
    tensor = np.full((1, 3, size, size), 114, np.float32)
    _, height, width = planes.shape
    tensor[0, :, :height, :width] = planes[[1, 0, 2]]
    rows = session.run(None, {session.get_inputs()[0].name: tensor})[0][0]
    cells = []
    for stride in (8, 16, 32):
        ys, xs = np.mgrid[: size // stride, : size // stride]
        cells.append(np.stack([xs.ravel(), ys.ravel(), np.full(xs.size, stride)], 1))
    cells = np.concatenate(cells)
    centres = (rows[:, :2] + cells[:, :2]) * cells[:, 2:]
    sizes = np.exp(rows[:, 2:4]) * cells[:, 2:]
    scores = rows[:, 4] * rows[:, 5:].max(1)
    classes = rows[:, 5:].argmax(1)
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    good = scores >= model["score"]
    return suppress(boxes[good], scores[good], classes[good], model["iou"])


def picodet(session, planes, model):
    """Stretched, red green blue, normalised. A cell may give a box for each class above the threshold, as in the authors' deployment code."""
    size = model["size"]
    mean = np.array([123.675, 116.28, 103.53], np.float32).reshape(3, 1, 1)
    std = np.array([58.395, 57.12, 57.375], np.float32).reshape(3, 1, 1)
    tensor = ((planes[[2, 0, 1]].astype(np.float32) - mean) / std)[None]
    outputs = session.run(None, {session.get_inputs()[0].name: tensor})
    boxes, scores, classes = [], [], []
    for stride in (8, 16, 32, 64):
        side = -(-size // stride)
        level_scores = next(o for o in outputs if o.shape[1:] == (side * side, 80))[0]
        raw = next(o for o in outputs if o.shape[1:] == (side * side, 32))[0].reshape(-1, 4, 8)
        weights = np.exp(raw - raw.max(2, keepdims=True))
        distances = (weights / weights.sum(2, keepdims=True) * np.arange(8)).sum(2) * stride
        ys, xs = np.mgrid[:side, :side]
        centres = (np.stack([xs.ravel(), ys.ravel()], 1) + 0.5) * stride
        level_boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], 1)
        cell, cls = np.nonzero(level_scores >= model["score"])
        boxes.append(level_boxes[cell])
        scores.append(level_scores[cell, cls])
        classes.append(cls)
    return suppress(np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes), model["iou"])


def fastestdet(session, planes, model):
    """Stretched, blue green red, divided by 255. One output of planes on one grid."""
    tensor = (planes[[1, 0, 2]].astype(np.float32) / 255)[None]
    grid = session.run(None, {session.get_inputs()[0].name: tensor})[0][0]
    _, rows, columns = grid.shape
    ys, xs = np.mgrid[:rows, :columns]
    centres = np.stack([(xs + np.tanh(grid[1])) / columns, (ys + np.tanh(grid[2])) / rows], -1).reshape(-1, 2) * model["size"]
    sizes = (1 / (1 + np.exp(-grid[3:5]))).reshape(2, -1).T * model["size"]
    scores = (grid[0] ** 0.6 * grid[5:].max(0) ** 0.4).ravel()
    classes = grid[5:].argmax(0).ravel()
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    good = scores >= model["score"]
    return suppress(boxes[good], scores[good], classes[good], model["iou"])


def ultraface(session, planes, model):
    """Stretched, red green blue, (x - 127) / 128. Corners as fractions; the second score is that of a face."""
    tensor = ((planes[[2, 0, 1]].astype(np.float32) - 127) / 128)[None]
    scores, boxes = session.run(["scores", "boxes"], {session.get_inputs()[0].name: tensor})
    scores, boxes = scores[0, :, 1], boxes[0] * np.array([model["size"], model["height"]] * 2)
    good = scores >= model["score"]
    return suppress(boxes[good], scores[good], np.zeros(good.sum(), int), model["iou"])


def yunet(session, planes, model):
    """At the top left on black, blue green red, 0..255."""
    size = model["size"]
    tensor = np.zeros((1, 3, size, size), np.float32)
    _, height, width = planes.shape
    tensor[0, :, :height, :width] = planes[[1, 0, 2]]
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {session.get_inputs()[0].name: tensor})))
    boxes, scores, points = [], [], []
    for stride in (8, 16, 32):
        score = np.sqrt(outputs[f"cls_{stride}"][0, :, 0] * outputs[f"obj_{stride}"][0, :, 0])
        raw = outputs[f"bbox_{stride}"][0]
        ys, xs = np.mgrid[: size // stride, : size // stride]
        cells = np.stack([xs.ravel(), ys.ravel()], 1)
        centres = (cells + raw[:, :2]) * stride
        landmarks = outputs[f"kps_{stride}"][0].reshape(-1, 5, 2)
        points.append(((cells[:, None] + landmarks) * stride).reshape(-1, 10))
        sizes = np.exp(raw[:, 2:]) * stride
        boxes.append(np.concatenate([centres - sizes / 2, centres + sizes / 2], 1))
        scores.append(score)
    boxes, scores, points = np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)
    good = scores >= model["score"]
    return suppress(boxes[good], scores[good], np.zeros(good.sum(), int), model["iou"], points[good])


FAMILIES = {"yolox": yolox, "picodet": picodet, "fastestdet": fastestdet, "ultraface": ultraface, "yunet": yunet}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--pixels", type=pathlib.Path, help="also write the pixels here, to look at")
    options = parser.parse_args()
    for name, model in MODELS.items():
        onnx = options.data / model["file"]
        session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
        cases = []
        for path, second in CASES:
            source = picture_size(options.data / path)
            if model["family"] in ("yolox", "yunet"):
                # As inference-geometry.ts: whole numbers, never below 1.
                width, height = model["size"], source[1] * model["size"] // source[0]
                if source[1] > source[0]:
                    width, height = source[0] * model["size"] // source[1], model["size"]
            else:
                width, height = model["size"], model.get("height", model["size"])
            data = planar_pixels(str(options.data / path), second, width, height)
            planes = np.frombuffer(data, np.uint8).reshape(3, height, width)
            digest = hashlib.sha256(data).hexdigest()
            if options.pixels:
                options.pixels.mkdir(parents=True, exist_ok=True)
                (options.pixels / f"{digest}.gbrp").write_bytes(data)
            boxes = FAMILIES[model["family"]](session, planes, model)
            cases.append(dict(
                picture=path, second=second, width_px=width, height_px=height, pixels_sha256=digest,
                boxes=[[*(round(v, 3) for v in b[:4]), round(b[4], 5), b[5]] for b in boxes],
                **(dict(points=[[round(v, 3) for v in b[6:]] for b in boxes]) if model["family"] == "yunet" else {}),
            ))
            print(name, path, len(boxes), "boxes")
        file = options.out / f"{name}.json"
        digest = hashlib.sha256(onnx.read_bytes()).hexdigest()
        head = json.dumps(dict(model=name, model_sha256=digest), indent=1)[:-2]
        body = ",\n  ".join(json.dumps(case) for case in cases)
        file.write_text(f'{head},\n "cases": [\n  {body}\n ]\n}}\n')


if __name__ == "__main__":
    main()
