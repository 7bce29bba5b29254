"""Leaves out channels of a detector's convolutions: those whose filters weigh least (L1 norm, arXiv 1608.08710), the same share in each layer.

Channels that are added to each other, or go through a convolution of single channels, can only go together. Which these are is read from the
graph: every tensor carries the numbers of its channels, and an addition makes numbers one.
"""

import copy

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx_network import Unsupported, attributes, constants_of

# The runtime works on blocks of so many channels; what does not fill one costs as if it did.
BLOCK = 8
PASSED_ON = {"Relu", "Sigmoid", "LeakyRelu", "HardSwish", "HardSigmoid", "Tanh", "MaxPool", "Resize", "Upsample", "Identity", "Clip", "AveragePool"}
TOGETHER = {"Add", "Mul", "Sub", "Div"}
BESIDE_CHANNELS = {"Shape", "Constant", "Cast"}


class Channels:
    """Numbers of channels, some of which turn out to be one and the same."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.fixed: set[int] = set()

    def fresh(self, count: int) -> np.ndarray:
        start = len(self.parent)
        self.parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def root(self, at: int) -> int:
        while self.parent[at] != at:
            self.parent[at] = self.parent[self.parent[at]]
            at = self.parent[at]
        return at

    def join(self, ones: np.ndarray, others: np.ndarray) -> None:
        for one, other in zip(ones, others):
            self.parent[self.root(int(one))] = self.root(int(other))

    def fix(self, ones: np.ndarray) -> None:
        self.fixed.update(int(one) for one in ones)


class Plan:
    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.constants = constants_of(graph)
        self.channels = Channels()
        self.of: dict[str, np.ndarray] = {}
        self.convolutions = [node for node in graph.node if node.op_type == "Conv"]
        weights = {each.name for each in graph.initializer}
        for each in graph.input:
            if each.name not in weights:
                numbers = self.channels.fresh(each.type.tensor_type.shape.dim[1].dim_value)
                self.of[each.name] = numbers
                self.channels.fix(numbers)
        for node in graph.node:
            if node.output[0] not in self.constants:
                self.follow(node)
        for each in graph.output:
            self.channels.fix(self.of.get(each.name, np.array([], int)))

    def follow(self, node: onnx.NodeProto) -> None:
        takes = [self.of[name] for name in node.input if name in self.of]
        if node.op_type == "Conv":
            weight = self.constants.get(node.input[1])
            if weight is None:
                raise Unsupported(f"the weights of the convolution {node.name} are not in the file")
            groups = attributes(node).get("group", 1)
            if groups == 1:
                self.of[node.output[0]] = self.channels.fresh(len(weight))
            elif takes and groups == len(weight) == len(takes[0]):
                self.of[node.output[0]] = takes[0]
            else:
                raise Unsupported(f"the convolution {node.name} has {groups} groups, which cannot be thinned out here")
        elif not takes:
            return  # beyond the last convolution, where tensors have other forms
        elif node.op_type in PASSED_ON:
            self.of[node.output[0]] = takes[0]
        elif node.op_type in TOGETHER:
            if len(takes) == 2 and len(takes[0]) == len(takes[1]):
                self.channels.join(takes[0], takes[1])
            elif len(takes) == 2 or any(np.size(self.constants.get(name, 0)) > 1 for name in node.input if name not in self.of):
                # A number for each channel: it would have to be cut with them.
                for each in takes:
                    self.channels.fix(each)
            self.of[node.output[0]] = takes[0]
        elif node.op_type == "Concat" and attributes(node)["axis"] == 1 and len(takes) == len(node.input):
            self.of[node.output[0]] = np.concatenate(takes)
        elif node.op_type == "Slice" and not self.cuts_channels(node):
            self.of[node.output[0]] = takes[0]
        elif node.op_type not in BESIDE_CHANNELS:
            for each in takes:
                self.channels.fix(each)

    def cuts_channels(self, node: onnx.NodeProto) -> bool:
        axes = self.constants.get(node.input[3]) if len(node.input) > 3 else None
        return axes is None or any(int(axis) in (1, -3) for axis in axes)

    def layers(self) -> list[list[int]]:
        """Channels that are made by the same convolutions and can go, a list for each such layer."""
        made_by: dict[int, set[int]] = {}
        fixed = {self.channels.root(at) for at in self.channels.fixed}
        for index, node in enumerate(self.convolutions):
            for number in self.of[node.output[0]]:
                made_by.setdefault(self.channels.root(int(number)), set()).add(index)
        layers: dict[tuple[int, ...], list[int]] = {}
        for number, makers in made_by.items():
            if number not in fixed:
                layers.setdefault(tuple(sorted(makers)), []).append(number)
        return list(layers.values())

    def weight_of(self) -> dict[int, float]:
        """L1 norm of the filters that make each channel, each as a share of its convolution's mean."""
        sums: dict[int, float] = {}
        for node in self.convolutions:
            norms = np.abs(self.constants[node.input[1]].astype(np.float32)).reshape(len(self.of[node.output[0]]), -1).sum(1)
            for number, norm in zip(self.of[node.output[0]], norms / max(norms.mean(), 1e-9)):
                root = self.channels.root(int(number))
                sums[root] = sums.get(root, 0.0) + float(norm)
        return sums


def multiplications(model: onnx.ModelProto) -> dict[str, int]:
    """Of the weights of each convolution, for one cell of its output."""
    constants = constants_of(model.graph)
    return {node.output[0]: int(constants[node.input[1]].size) for node in model.graph.node if node.op_type == "Conv"}


def prune(model: onnx.ModelProto, ratio: float) -> tuple[onnx.ModelProto, dict]:
    """The model without `ratio` of the channels of every layer that allows it, and how much went."""
    plan = Plan(model)
    weights = plan.weight_of()
    gone: set[int] = set()
    total = 0
    for layer in plan.layers():
        total += len(layer)
        keep = min(len(layer), max(BLOCK, round(len(layer) * (1 - ratio) / BLOCK) * BLOCK))
        gone.update(sorted(layer, key=lambda number: weights[number])[: len(layer) - keep])
    if not gone:
        raise Unsupported(f"no layer of this network can lose {ratio:.0%} of its channels")
    made = copy.deepcopy(model)
    stored = {each.name: each for each in made.graph.initializer}
    stored |= {node.output[0]: node.attribute[0].t for node in made.graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"}
    casts = {node.output[0]: node.input[0] for node in made.graph.node if node.op_type in ("Cast", "Identity")}

    def kept(tensor: str) -> np.ndarray:
        return np.array([plan.channels.root(int(number)) not in gone for number in plan.of[tensor]])

    def cut(name: str, rows: np.ndarray, columns: np.ndarray | None) -> None:
        tensor = stored[casts.get(name, name)]
        values = numpy_helper.to_array(tensor)[rows]
        if columns is not None:
            values = values[:, columns]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))

    for node in made.graph.node:
        if node.op_type != "Conv":
            continue
        rows = kept(node.output[0])
        groups = attributes(node).get("group", 1)
        cut(node.input[1], rows, kept(node.input[0]) if groups == 1 else None)
        if len(node.input) > 2:
            cut(node.input[2], rows, None)
        for attribute in node.attribute:
            if attribute.name == "group" and groups > 1:
                attribute.i = int(rows.sum())
    del made.graph.value_info[:]
    before, after = sum(multiplications(model).values()), sum(multiplications(made).values())
    return made, {"channels": total, "gone": len(gone), "weights_before": before, "weights_after": after}
