"""Training samples: augmented pictures, and what the teacher (YOLOX-nano) says of every cell of them, put right where a person has labelled the photo.

A sample is a 256x256 cut-out at about the scale that objects have in a 384x288 input, so that the network learns the sizes it will meet at a
part of the cost of whole inputs. The teacher runs on the same pixels; its cells are the student's cells.
"""

import json
import math
import random
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnx
import onnxruntime

from network import grid

SIZE = 256
FULL = 368
PAD = 114
# The six classes of ours among the 80 of the teacher.
TEACHER_CLASSES = [0, 1, 2, 3, 5, 7]
COCO_CATEGORIES = [1, 2, 3, 4, 6, 8]


def load_teacher(path: Path, size: int = SIZE, features: bool = True) -> onnxruntime.InferenceSession:
    """The teacher at another input size (it is convolutional throughout, only the declared shapes say 416). With `features`, its further
    outputs are what its last convolutions see: for strides 8, 16, 32 the features of boxes, then those of classes."""
    model = onnx.load(path)
    graph = model.graph
    dims = graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_value = dims[3].dim_value = size
    del graph.value_info[:]
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = sum((size // stride) ** 2 for stride in (8, 16, 32))
    if features:
        made_by = {output: node for node in graph.node for output in node.output}
        heads = [node for node in graph.node if node.op_type == "Concat" and len(node.input) == 3 and made_by[node.input[0]].op_type == "Conv" and made_by[node.input[2]].op_type == "Sigmoid"]
        assert len(heads) == 3, "the teacher is not a YOLOX with three strides"
        for head in heads:
            of_classes = made_by[made_by[head.input[2]].input[0]]
            for name in (made_by[head.input[0]].input[0], of_classes.input[0]):
                graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Thing(NamedTuple):
    """Class of ours, box in pixels; `sure` of a person's label or of what the teacher sees clearly; a crowd is a place where anything may be."""

    index: int
    x: float
    y: float
    w: float
    h: float
    sure: bool = True
    crowd: bool = False


class Picture:
    """A photo [H, W, 3] (BGR), and what is in it; `whole` where nothing else of our classes is."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.things: list[Thing] = []
        self.whole = False

    def look(self, session: onnxruntime.InferenceSession, size: int) -> None:
        """Adds what the teacher sees where no label is."""
        ratio = size / max(self.pixels.shape[:2])
        scaled = cv2.resize(self.pixels, None, fx=ratio, fy=ratio)[:size, :size]
        canvas = np.full((size, size, 3), PAD, np.uint8)
        canvas[: scaled.shape[0], : scaled.shape[1]] = scaled
        out = session.run(None, {session.get_inputs()[0].name: canvas.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        scores = out[:, 4:5] * out[:, [5 + index for index in TEACHER_CLASSES]]
        start = 0
        boxes, kept, classes = [], [], []
        for stride in (8, 16, 32):
            side = size // stride
            for cell in np.nonzero(scores[start : start + side * side].max(1) > 0.3)[0]:
                raw = out[start + cell]
                x, y = (raw[0] + cell % side) * stride / ratio, (raw[1] + cell // side) * stride / ratio
                w, h = np.exp(raw[2:4]) * stride / ratio
                boxes.append((float(x - w / 2), float(y - h / 2), float(w), float(h)))
                kept.append(float(scores[start + cell].max()))
                classes.append(int(scores[start + cell].argmax()))
            start += side * side
        labelled = [(thing.x, thing.y, thing.w, thing.h) for thing in self.things]
        for index in cv2.dnn.NMSBoxes(boxes, kept, 0.3, 0.5) if boxes else []:
            if all(overlap(boxes[index], box) < 0.4 for box in labelled):
                self.things.append(Thing(classes[index], *boxes[index], sure=kept[index] > 0.5))


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of boxes x, y, w, h."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return 0.0 if w <= 0 or h <= 0 else w * h / (a[2] * a[3] + b[2] * b[3] - w * h)


def read_photos(folder: Path) -> dict[str, list[Picture]]:
    """By the group that the file's name begins with (`lta`, `oi`, `intel`); photos of COCO bear a number. Labels from annotations.json (complete) and
    partial_boxes.json (right, but not all) beside the folder, where they are: both in COCO's format."""
    groups: dict[str, list[Picture]] = {}
    by_name: dict[str, Picture] = {}
    for path in sorted(folder.glob("*.jpg")):
        pixels = cv2.imread(str(path))
        if pixels is not None:
            name = path.name.split("_")[0] if "_" in path.name else "coco"
            by_name[path.name] = Picture(pixels)
            groups.setdefault(name, []).append(by_name[path.name])
    for file, whole in (("annotations.json", True), ("partial_boxes.json", False)):
        path = folder.parent / file
        if not path.exists():
            continue
        labels = json.loads(path.read_text())
        pictures = {entry["id"]: by_name[entry["file_name"]] for entry in labels["images"] if entry["file_name"] in by_name}
        for picture in pictures.values():
            picture.whole = whole
        for label in labels["annotations"]:
            if label["image_id"] in pictures and label["category_id"] in COCO_CATEGORIES:
                index = COCO_CATEGORIES.index(label["category_id"])
                pictures[label["image_id"]].things.append(Thing(index, *label["bbox"], crowd=bool(label["iscrowd"])))
    return groups


def read_clip(path: Path, step: int = 4) -> list[Picture]:
    pictures = []
    capture = cv2.VideoCapture(str(path))
    index = 0
    while True:
        ok, pixels = capture.read()
        if not ok:
            return pictures
        if index % step == 0:
            scale = 480 / max(pixels.shape[:2])
            pictures.append(Picture(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)))
        index += 1


class Pool:
    """Pictures in groups that are drawn with a weight: what is plenty (one camera over and over) must not crowd out what is varied."""

    WEIGHTS = {"coco": 0.5, "oi": 0.22, "lta": 0.16, "clips": 0.12}
    # How often a thing of each class is looked for when a sample is to show one.
    CLASS_WEIGHTS = [0.52, 0.06, 0.26, 0.06, 0.05, 0.05]

    def __init__(self, groups: dict[str, list[Picture]]) -> None:
        self.groups = [pictures for pictures in groups.values() if pictures]
        self.weights = [self.WEIGHTS.get(name, 0.02) for name, pictures in groups.items() if pictures]
        self.with_class = [
            [[picture for picture in pictures if any(wanted(thing, index) for thing in picture.things)] for pictures in self.groups]
            for index in range(6)
        ]

    def any(self, rng: random.Random) -> Picture:
        return rng.choice(rng.choices(self.groups, self.weights)[0])

    def thing(self, rng: random.Random) -> tuple[Picture, Thing] | None:
        index = rng.choices(range(6), self.CLASS_WEIGHTS)[0]
        pictures = rng.choices(self.with_class[index], self.weights)[0]
        if not pictures:
            return None
        picture = rng.choice(pictures)
        return picture, rng.choice([thing for thing in picture.things if wanted(thing, index)])


def wanted(thing: Thing, index: int) -> bool:
    return thing.index == index and not thing.crowd and min(thing.w, thing.h) > 5


class Canvas:
    """A sample in the making: pixels [SIZE, SIZE, 3], the boxes in it [n, 4] as corners with their things, and the part where the labels are complete."""

    def __init__(self) -> None:
        self.pixels = np.full((SIZE, SIZE, 3), PAD, np.uint8)
        self.things: list[tuple[Thing, np.ndarray, float]] = []
        self.whole = np.zeros((SIZE, SIZE), bool)

    def note(self, picture: Picture, scale: tuple[float, float], shift: tuple[float, float], tile: tuple[int, int, int, int]) -> None:
        """The picture was put, scaled and then shifted, into `tile` (left, top, right, bottom)."""
        left, top, right, bottom = tile
        self.whole[top:bottom, left:right] = picture.whole
        for thing in picture.things:
            x0, y0 = thing.x * scale[0] + shift[0], thing.y * scale[1] + shift[1]
            x1, y1 = x0 + thing.w * scale[0], y0 + thing.h * scale[1]
            seen = np.array([max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)], np.float32)
            size = np.maximum(seen[2:] - seen[:2], 0)
            if size.min() > 0:
                self.things.append((thing, seen, float(size.prod() / max((x1 - x0) * (y1 - y0), 1e-6))))

    def mirror(self) -> None:
        self.pixels = np.ascontiguousarray(self.pixels[:, ::-1])
        self.whole = self.whole[:, ::-1]
        self.things = [(thing, np.array([SIZE - box[2], box[1], SIZE - box[0], box[3]], np.float32), part) for thing, box, part in self.things]


def focus(canvas: Canvas, shown: Picture, thing: Thing, rng: random.Random) -> None:
    """The part of the picture around `thing`, scaled so that the thing gets a random size, at a random place of the canvas."""
    x, y, w, h = thing[1:5]
    picture = shown.pixels
    wanted_size = math.exp(rng.uniform(math.log(12), math.log(SIZE * 0.85)))
    # Not smaller than fits: things as small as that come with the mosaics, and a canvas of padding teaches nothing.
    scale = min(max(wanted_size / max(w, h, 1), 0.75 * SIZE / max(picture.shape[:2])), 2.5)
    stretch = rng.uniform(0.85, 1.18)
    middle_x = rng.uniform(0.2, 0.8) * SIZE if w * scale < SIZE * 0.6 else SIZE / 2
    middle_y = rng.uniform(0.2, 0.8) * SIZE if h * scale < SIZE * 0.6 else SIZE / 2
    matrix = np.array(
        [[scale * stretch, 0, middle_x - (x + w / 2) * scale * stretch], [0, scale, middle_y - (y + h / 2) * scale]], np.float32
    )
    canvas.note(shown, (scale * stretch, scale), (matrix[0, 2], matrix[1, 2]), (0, 0, SIZE, SIZE))
    if scale < 0.6:  # warpAffine does not average: shrink first
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        ratio = np.array([[picture.shape[1] / small.shape[1], 0, 0], [0, picture.shape[0] / small.shape[0], 0], [0, 0, 1]], np.float32)
        picture, matrix = small, matrix @ ratio
    cv2.warpAffine(picture, matrix, (SIZE, SIZE), dst=canvas.pixels, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(PAD, PAD, PAD))


def place(whole: Canvas, tile: tuple[int, int, int, int], shown: Picture, scale: float, rng: random.Random) -> None:
    """A random part of the picture, scaled, at a random place of the tile (left, top, right, bottom) of the canvas."""
    left, top, right, bottom = tile
    canvas, picture = whole.pixels[top:bottom, left:right], shown.pixels
    aspect = rng.uniform(0.85, 1.18)
    height = max(8, round(picture.shape[0] * scale))
    width = max(8, round(picture.shape[1] * scale * aspect))
    interpolation = cv2.INTER_AREA if scale < 0.8 else cv2.INTER_LINEAR
    scaled = cv2.resize(picture, (width, height), interpolation=interpolation)
    space_y, space_x = canvas.shape[0] - height, canvas.shape[1] - width
    at_y, at_x = (rng.randint(min(space, 0), max(space, 0)) for space in (space_y, space_x))
    whole.note(shown, (width / picture.shape[1], height / picture.shape[0]), (left + at_x, top + at_y), tile)
    source_y, source_x = max(0, -at_y), max(0, -at_x)
    target_y, target_x = max(0, at_y), max(0, at_x)
    rows = min(canvas.shape[0] - target_y, height - source_y)
    columns = min(canvas.shape[1] - target_x, width - source_x)
    canvas[target_y : target_y + rows, target_x : target_x + columns] = scaled[
        source_y : source_y + rows, source_x : source_x + columns
    ]


def colours(picture: np.ndarray, rng: random.Random) -> np.ndarray:
    out = picture.astype(np.float32)
    out = out * rng.uniform(0.7, 1.3) + rng.uniform(-20, 20)
    out *= np.array([rng.uniform(0.88, 1.12) for _ in range(3)], np.float32)
    if rng.random() < 0.1:
        gray = out.mean(2, keepdims=True)
        out = gray + (out - gray) * rng.uniform(0, 0.5)
    if rng.random() < 0.12:  # night
        out *= rng.uniform(0.25, 0.6)
        out += np.random.normal(0, rng.uniform(2, 10), out.shape[:2] + (1,)).astype(np.float32)
    out = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.6))
    if rng.random() < 0.2:
        _, encoded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(20, 70)])
        out = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return out


def augmented(pool: Pool, rng: random.Random) -> Canvas:
    canvas = Canvas()
    everything = (0, 0, SIZE, SIZE)

    def scale_of(picture: Picture, low: float, high: float, to: int) -> float:
        return to / max(picture.pixels.shape[:2]) * rng.uniform(low, high)

    kind = rng.random()
    found = pool.thing(rng) if kind < 0.45 else None
    if found is not None:
        focus(canvas, *found, rng)
    elif kind < 0.7:
        lines = rng.choice((1, 1, 2))  # four pictures, or nine smaller ones
        edges_x, edges_y = ([0, *sorted(rng.randint(SIZE // 5, 4 * SIZE // 5) for _ in range(lines)), SIZE] for _ in range(2))
        for top, bottom in zip(edges_y, edges_y[1:]):
            for left, right in zip(edges_x, edges_x[1:]):
                if bottom - top > 16 and right - left > 16:
                    picture = pool.any(rng)
                    place(canvas, (left, top, right, bottom), picture, scale_of(picture, 0.4, 1.2, FULL) / lines, rng)
    elif kind < 0.88:
        picture = pool.any(rng)
        place(canvas, everything, picture, scale_of(picture, 0.7, 1.4, FULL), rng)
    else:
        picture = pool.any(rng)
        place(canvas, everything, picture, scale_of(picture, 0.6, 1.05, SIZE), rng)
    if rng.random() < 0.5:
        canvas.mirror()
    canvas.pixels = colours(canvas.pixels, rng)
    return canvas


CELLS, CELL_STRIDES = (part.numpy() for part in grid(SIZE, SIZE))


def teach(session: onnxruntime.InferenceSession, canvas: Canvas) -> np.ndarray:
    """What the student shall say and see [cells, 11 + features], float16: x, y, log w, log h as the teacher puts them, score of the best class,
    classes by it, then the teacher's features. Scores and boxes are put right by the labels."""
    pixels = canvas.pixels.transpose(2, 0, 1)[None].astype(np.float32)
    out, *features = session.run(None, {session.get_inputs()[0].name: pixels})
    boxes = out[0][:, :4].copy()
    scores = out[0][:, 4:5] * out[0][:, [5 + index for index in TEACHER_CLASSES]]
    put_right(boxes, scores, canvas)
    best = scores.max(1, keepdims=True)
    by_level = [np.concatenate((box[0], cls[0])).reshape(box.shape[1] + cls.shape[1], -1).T for box, cls in zip(features[::2], features[1::2])]
    target = np.concatenate((boxes, best, scores / np.maximum(best, 1e-6), np.concatenate(by_level)), 1)
    return target.astype(np.float16)


def put_right(boxes: np.ndarray, scores: np.ndarray, canvas: Canvas) -> None:
    """Changes what the teacher says (raw boxes [cells, 4], scores [cells, 6]). A labelled thing has cells that see it: those near its middle whose boxes
    fit it best, as many as there is fit for (the rule of SimOTA, arXiv 2107.08430). Where labels are complete, what fits no label is not there."""
    middle = (boxes[:, :2] + CELLS) * CELL_STRIDES
    half = np.exp(np.minimum(boxes[:, 2:], 6)) * CELL_STRIDES / 2
    corners = np.concatenate((middle - half, middle + half), 1)
    area = (4 * half.prod(1)).clip(1e-6)
    at = (CELLS + 0.5) * CELL_STRIDES
    best_fit = np.zeros(len(boxes), np.float32)
    for thing, box, part in canvas.things:
        inter = (np.minimum(corners[:, 2:], box[2:]) - np.maximum(corners[:, :2], box[:2])).clip(0).prod(1)
        size = box[2:] - box[:2]
        fit = inter / (area + size.prod() - inter)
        best_fit = np.maximum(best_fit, inter / area if thing.crowd else fit)
        if thing.crowd or not thing.sure or part < 0.4 or size.max() < 9 or size.min() < 4:
            continue
        centre = (box[:2] + box[2:]) / 2
        near = (np.abs(at - centre) < np.minimum(2.5 * CELL_STRIDES, np.maximum(size / 2, CELL_STRIDES * 0.75))).all(1)
        worth = np.where(near, fit * (0.3 + scores[:, thing.index]), 0)
        count = int(np.clip(np.sort(np.where(near, fit, 0))[-10:].sum(), 1, 5))
        chosen = np.argsort(worth)[-count:]
        chosen = chosen[worth[chosen] > 0.05]
        if len(chosen) == 0:
            # The teacher has no box for it at all: the cell in the middle, of the stride for this size.
            stride = 8 if size.max() < 48 else 16 if size.max() < 112 else 32
            far = np.abs(at - centre).sum(1) + np.where(CELL_STRIDES[:, 0] == stride, 0, 1e6)
            chosen = np.array([far.argmin()])
        most = worth[chosen].max()
        wish = 0.8 * worth[chosen] / most if most > 0 else 0.6
        boxes[chosen, :2] = centre / CELL_STRIDES[chosen] - CELLS[chosen]
        boxes[chosen, 2:] = np.log(size / CELL_STRIDES[chosen])
        others = scores[chosen].copy()
        scores[chosen] = others * 0.5
        scores[chosen, thing.index] = np.maximum(others[:, thing.index], wish)
        best_fit[chosen] = 1
    known = canvas.whole[at[:, 1].astype(int), at[:, 0].astype(int)]
    scores[known & (best_fit < 0.3)] *= 0.3
