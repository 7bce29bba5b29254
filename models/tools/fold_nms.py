"""Decoding and suppression of the YOLOX form inside the graph: what comes out is [1, n, 6] with x1 y1 x2 y2 score class in pixels of the input."""

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def grid(height: int, width: int, strides: list[int]) -> tuple[np.ndarray, np.ndarray]:
    cells, sizes = [], []
    for stride in strides:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack((columns, rows), -1).reshape(-1, 2))
        sizes.append(np.full((cells[-1].shape[0], 1), stride))
    return np.concatenate(cells).astype(np.float32)[None], np.concatenate(sizes).astype(np.float32)[None]


def fold(model: onnx.ModelProto, height: int, width: int, strides: list[int], score: float, overlap: float, most: int) -> None:
    graph = model.graph
    source = graph.output[0].name
    cells, sizes = grid(height, width, strides)
    values = {
        "cells": cells,
        "sizes": sizes,
        "half": np.float32(0.5),
        "most": np.int64([most]),
        "overlap": np.float32([overlap]),
        "score": np.float32([score]),
        "last": np.int64([2]),
        "second": np.int64([1]),
        "first": np.int64([0]),
        **{f"at{at}": np.int64([at]) for at in (4, 5)},
        "end": np.int64([np.iinfo(np.int64).max]),
        "three": np.int64([3]),
    }
    graph.initializer.extend(numpy_helper.from_array(np.array(value), f"nms_{name}") for name, value in values.items())

    def add(kind: str, takes: list[str], gives: str, **attributes) -> None:
        names = [name if name == source or name == "" else f"nms_{name}" for name in takes]
        graph.node.append(helper.make_node(kind, names, [f"nms_{gives}"], f"nms_{gives}_{kind}", **attributes))

    add("Slice", [source, "first", "last", "last"], "offset")
    add("Slice", [source, "last", "at4", "last"], "log")
    add("Slice", [source, "at4", "at5", "last"], "object")
    add("Slice", [source, "at5", "end", "last"], "classes")
    add("Add", ["offset", "cells"], "placed")
    add("Mul", ["placed", "sizes"], "centre")
    add("Exp", ["log"], "shares")
    add("Mul", ["shares", "sizes"], "lengths")
    add("Mul", ["lengths", "half"], "halves")
    add("Sub", ["centre", "halves"], "upper")
    add("Add", ["centre", "halves"], "lower")
    add("Concat", ["upper", "lower"], "boxes", axis=2)
    add("Mul", ["object", "classes"], "by_cell")
    add("Transpose", ["by_cell"], "by_class", perm=[0, 2, 1])
    add("NonMaxSuppression", ["boxes", "by_class", "most", "overlap", "score"], "chosen")
    # Each row of `chosen` is picture, class, cell.
    add("GatherND", ["by_class", "chosen"], "scores_flat")
    add("Unsqueeze", ["scores_flat", "second"], "scores")
    add("Slice", ["chosen", "second", "last", "second"], "class_numbers")
    add("Cast", ["class_numbers"], "class_floats", to=TensorProto.FLOAT)
    add("Slice", ["chosen", "last", "three", "second"], "cell_column")
    add("Slice", ["chosen", "first", "second", "second"], "picture_column")
    add("Concat", ["picture_column", "cell_column"], "cell_of", axis=1)
    add("GatherND", ["boxes", "cell_of"], "chosen_boxes")
    add("Concat", ["chosen_boxes", "scores", "class_floats"], "rows", axis=1)
    add("Unsqueeze", ["rows", "first"], "detections")
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("nms_detections", TensorProto.FLOAT, [1, "objects", 6]))


def by_hand(out: np.ndarray, height: int, width: int, strides: list[int], score: float, overlap: float) -> np.ndarray:
    """The same with other code, to compare with."""
    cells, sizes = grid(height, width, strides)
    centre = (out[0, :, :2] + cells[0]) * sizes[0]
    size = np.exp(out[0, :, 2:4]) * sizes[0]
    rows = []
    for index in range(out.shape[2] - 5):
        scores = out[0, :, 4] * out[0, :, 5 + index]
        boxes = np.concatenate((centre - size / 2, size), 1)
        for at in np.array(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), score, overlap)).reshape(-1).astype(int):
            rows.append([*(centre[at] - size[at] / 2), *(centre[at] + size[at] / 2), scores[at], index])
    return np.array(rows, np.float32).reshape(-1, 6)


def differences(expected: np.ndarray, got: np.ndarray) -> tuple[int, float]:
    """How many boxes only one of both has, and the largest difference of those that both have."""
    left = list(range(len(got)))
    alone, worst = 0, 0.0
    for row in expected:
        near = [at for at in left if got[at][5] == row[5] and np.abs(got[at] - row).max() < 0.5]
        if not near:
            alone += 1
            continue
        best = min(near, key=lambda at: np.abs(got[at] - row).max())
        worst = max(worst, float(np.abs(got[best] - row).max()))
        left.remove(best)
    return alone + len(left), worst
