"""Training samples: augmented pictures, and what the teacher (YOLOX-nano) says of every cell of them.

A sample is a 256x256 cut-out at about the scale that objects have in a 384x288 input, so that the network learns the sizes it will meet at a
part of the cost of whole inputs. The teacher runs on the same pixels; its cells are the student's cells.
"""

import math
import random
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime

SIZE = 256
FULL = 368
PAD = 114
# The six classes of ours among the 80 of the teacher.
TEACHER_CLASSES = [0, 1, 2, 3, 5, 7]


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


class Picture:
    """A photo [H, W, 3] (BGR), and where the teacher sees something in it: (class of ours, x, y, w, h) in pixels."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.things: list[tuple[int, float, float, float, float]] = []

    def look(self, session: onnxruntime.InferenceSession, size: int) -> None:
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
        for index in cv2.dnn.NMSBoxes(boxes, kept, 0.3, 0.5) if boxes else []:
            self.things.append((classes[index], *boxes[index]))


def read_photos(folder: Path) -> dict[str, list[Picture]]:
    """By the group that the file's name begins with (`lta`, `oi`, `intel`); photos of COCO bear a number."""
    groups: dict[str, list[Picture]] = {}
    for path in sorted(folder.glob("*.jpg")):
        pixels = cv2.imread(str(path))
        if pixels is not None:
            name = path.name.split("_")[0] if "_" in path.name else "coco"
            groups.setdefault(name, []).append(Picture(pixels))
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
    CLASS_WEIGHTS = [0.58, 0.06, 0.2, 0.06, 0.05, 0.05]

    def __init__(self, groups: dict[str, list[Picture]]) -> None:
        self.groups = [pictures for pictures in groups.values() if pictures]
        self.weights = [self.WEIGHTS.get(name, 0.02) for name, pictures in groups.items() if pictures]
        self.with_class = [
            [[picture for picture in pictures if any(thing[0] == index for thing in picture.things)] for pictures in self.groups] for index in range(6)
        ]

    def any(self, rng: random.Random) -> Picture:
        return rng.choice(rng.choices(self.groups, self.weights)[0])

    def thing(self, rng: random.Random) -> tuple[Picture, tuple[float, float, float, float]] | None:
        index = rng.choices(range(6), self.CLASS_WEIGHTS)[0]
        pictures = rng.choices(self.with_class[index], self.weights)[0]
        if not pictures:
            return None
        picture = rng.choice(pictures)
        return picture, rng.choice([thing[1:] for thing in picture.things if thing[0] == index])


def focus(canvas: np.ndarray, picture: np.ndarray, box: tuple[float, float, float, float], rng: random.Random) -> None:
    """The part of the picture around `box`, scaled so that the box gets a random size, at a random place of the canvas."""
    x, y, w, h = box
    wanted = math.exp(rng.uniform(math.log(14), math.log(SIZE * 0.9)))
    # Not smaller than fits: things as small as that come with the mosaics, and a canvas of padding teaches nothing.
    scale = min(max(wanted / max(w, h, 1), 0.75 * SIZE / max(picture.shape[:2])), 2.5)
    stretch = rng.uniform(0.85, 1.18)
    middle_x = rng.uniform(0.2, 0.8) * SIZE if w * scale < SIZE * 0.6 else SIZE / 2
    middle_y = rng.uniform(0.2, 0.8) * SIZE if h * scale < SIZE * 0.6 else SIZE / 2
    matrix = np.array(
        [[scale * stretch, 0, middle_x - (x + w / 2) * scale * stretch], [0, scale, middle_y - (y + h / 2) * scale]], np.float32
    )
    if scale < 0.6:  # warpAffine does not average: shrink first
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        ratio = np.array([[picture.shape[1] / small.shape[1], 0, 0], [0, picture.shape[0] / small.shape[0], 0], [0, 0, 1]], np.float32)
        picture, matrix = small, matrix @ ratio
    cv2.warpAffine(picture, matrix, (SIZE, SIZE), dst=canvas, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(PAD, PAD, PAD))


def place(canvas: np.ndarray, picture: np.ndarray, scale: float, rng: random.Random) -> None:
    """A random part of the picture, scaled, at a random place of the canvas."""
    aspect = rng.uniform(0.85, 1.18)
    height = max(8, round(picture.shape[0] * scale))
    width = max(8, round(picture.shape[1] * scale * aspect))
    interpolation = cv2.INTER_AREA if scale < 0.8 else cv2.INTER_LINEAR
    scaled = cv2.resize(picture, (width, height), interpolation=interpolation)
    space_y, space_x = canvas.shape[0] - height, canvas.shape[1] - width
    at_y, at_x = (rng.randint(min(space, 0), max(space, 0)) for space in (space_y, space_x))
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


def augmented(pool: Pool, rng: random.Random) -> np.ndarray:
    canvas = np.full((SIZE, SIZE, 3), PAD, np.uint8)

    def scale_of(picture: np.ndarray, low: float, high: float, to: int) -> float:
        return to / max(picture.shape[:2]) * rng.uniform(low, high)

    kind = rng.random()
    found = pool.thing(rng) if kind < 0.45 else None
    if found is not None:
        focus(canvas, found[0].pixels, found[1], rng)
    elif kind < 0.7:
        lines = rng.choice((1, 1, 2))  # four pictures, or nine smaller ones
        edges_x, edges_y = ([0, *sorted(rng.randint(SIZE // 5, 4 * SIZE // 5) for _ in range(lines)), SIZE] for _ in range(2))
        for top, bottom in zip(edges_y, edges_y[1:]):
            for left, right in zip(edges_x, edges_x[1:]):
                if bottom - top > 16 and right - left > 16:
                    picture = pool.any(rng).pixels
                    place(canvas[top:bottom, left:right], picture, scale_of(picture, 0.4, 1.2, FULL) / lines, rng)
    elif kind < 0.88:
        picture = pool.any(rng).pixels
        place(canvas, picture, scale_of(picture, 0.7, 1.4, FULL), rng)
    else:
        picture = pool.any(rng).pixels
        place(canvas, picture, scale_of(picture, 0.6, 1.05, SIZE), rng)
    if rng.random() < 0.5:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
    return colours(canvas, rng)


def teach(session: onnxruntime.InferenceSession, picture: np.ndarray) -> np.ndarray:
    """What the student shall say and see [cells, 11 + features], float16: x, y, log w, log h as the teacher puts them, score of the best class,
    classes by it, then the teacher's features."""
    pixels = picture.transpose(2, 0, 1)[None].astype(np.float32)
    out, *features = session.run(None, {session.get_inputs()[0].name: pixels})
    out = out[0]
    scores = out[:, 4:5] * out[:, [5 + index for index in TEACHER_CLASSES]]
    best = scores.max(1, keepdims=True)
    by_level = [np.concatenate((box[0], cls[0])).reshape(box.shape[1] + cls.shape[1], -1).T for box, cls in zip(features[::2], features[1::2])]
    target = np.concatenate((out[:, :4], best, scores / np.maximum(best, 1e-6), np.concatenate(by_level)), 1)
    return target.astype(np.float16)
