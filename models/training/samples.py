"""Training samples: augmented pictures, and what the teacher (YOLOX-nano) says of every cell of them.

A sample is a 256x256 cut-out at about the scale that objects have in a 320x320 input, so that the network learns the sizes it will meet at a
part of the cost of whole inputs. The teacher runs on the same pixels; its cells are the student's cells.
"""

import random
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime

SIZE = 256
FULL = 320
PAD = 114
# The six classes of ours among the 80 of the teacher.
TEACHER_CLASSES = [0, 1, 2, 3, 5, 7]


def load_teacher(path: Path, size: int = SIZE) -> onnxruntime.InferenceSession:
    """The teacher at another input size: it is convolutional throughout, only the declared shapes say 416."""
    model = onnx.load(path)
    for dims in (model.graph.input[0].type.tensor_type.shape.dim,):
        dims[2].dim_value = dims[3].dim_value = size
    del model.graph.value_info[:]
    cells = sum((size // stride) ** 2 for stride in (8, 16, 32))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = cells
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def read_pictures(folders: list[Path], clips: list[Path], clip_step: int = 4) -> list[np.ndarray]:
    pictures = []
    for folder in folders:
        for path in sorted(folder.glob("*.jpg")):
            picture = cv2.imread(str(path))
            if picture is not None:
                pictures.append(picture)
    for clip in clips:
        capture = cv2.VideoCapture(str(clip))
        index = 0
        while True:
            ok, picture = capture.read()
            if not ok:
                break
            if index % clip_step == 0:
                scale = 480 / max(picture.shape[:2])
                pictures.append(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
            index += 1
    return pictures


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


def augmented(pictures: list[np.ndarray], rng: random.Random) -> np.ndarray:
    canvas = np.full((SIZE, SIZE, 3), PAD, np.uint8)

    def scale_of(picture: np.ndarray, low: float, high: float, to: int) -> float:
        return to / max(picture.shape[:2]) * rng.uniform(low, high)

    if rng.random() < 0.4:
        middle_x, middle_y = (rng.randint(SIZE // 4, 3 * SIZE // 4) for _ in range(2))
        for rows, columns in (
            (slice(0, middle_y), slice(0, middle_x)),
            (slice(0, middle_y), slice(middle_x, SIZE)),
            (slice(middle_y, SIZE), slice(0, middle_x)),
            (slice(middle_y, SIZE), slice(middle_x, SIZE)),
        ):
            picture = rng.choice(pictures)
            place(canvas[rows, columns], picture, scale_of(picture, 0.4, 1.2, FULL), rng)
    elif rng.random() < 0.6:
        picture = rng.choice(pictures)
        place(canvas, picture, scale_of(picture, 0.7, 1.4, FULL), rng)
    else:
        picture = rng.choice(pictures)
        place(canvas, picture, scale_of(picture, 0.6, 1.05, SIZE), rng)
    if rng.random() < 0.5:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
    return colours(canvas, rng)


def teach(session: onnxruntime.InferenceSession, picture: np.ndarray) -> np.ndarray:
    """What the student shall say [cells, 11], float16: x, y, log w, log h as the teacher puts them, score of the best class, classes by it."""
    pixels = picture.transpose(2, 0, 1)[None].astype(np.float32)
    out = session.run(None, {session.get_inputs()[0].name: pixels})[0][0]
    scores = out[:, 4:5] * out[:, [5 + index for index in TEACHER_CLASSES]]
    best = scores.max(1, keepdims=True)
    target = np.concatenate((out[:, :4], best, scores / np.maximum(best, 1e-6)), 1)
    return target.astype(np.float16)
