"""A detector's ONNX graph as a PyTorch network whose convolutions learn, and back into the same graph with the weights that were learned.

What the file says is what runs: no code of the model's authors is needed, and what comes out is the file with other numbers in it.
"""

import copy

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from torch import nn


class Unsupported(Exception):
    """The graph has something that cannot be trained or pruned here."""


def attributes(node: onnx.NodeProto) -> dict:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def constants_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Every value that the file holds, by name; weights stored in half precision and cast as they are used count as what they are cast to."""
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            given = attributes(node)
            if "value" in given:
                values[node.output[0]] = numpy_helper.to_array(given["value"])
        elif node.op_type in ("Cast", "Identity") and node.input[0] in values:
            value = values[node.input[0]]
            to = helper.tensor_dtype_to_np_dtype(attributes(node)["to"]) if node.op_type == "Cast" else value.dtype
            values[node.output[0]] = value.astype(to)
    return values


def set_input_size(model: onnx.ModelProto, width: int, height: int, strides: list[int]) -> None:
    """Detectors of the YOLOX form are convolutional throughout: only the declared shapes say how large the input is."""
    weights = {each.name for each in model.graph.initializer}
    takes = next(each for each in model.graph.input if each.name not in weights)
    takes.type.tensor_type.shape.dim[2].dim_value = height
    takes.type.tensor_type.shape.dim[3].dim_value = width
    cells = sum((width // stride) * (height // stride) for stride in strides)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = cells
    del model.graph.value_info[:]


class Convolution(nn.Module):
    """Each filter at length one with its length as a number of its own (arXiv 1602.07868): the file holds filters of all lengths, since the
    normalisation of the training was multiplied into them, and one rate of learning has to fit them all."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, node: onnx.NodeProto) -> None:
        super().__init__()
        given = attributes(node)
        value = torch.from_numpy(weight.astype(np.float32))
        length = value.flatten(1).norm(dim=1).clamp(min=1e-8)
        self.direction = nn.Parameter((value / length.view(-1, 1, 1, 1)).contiguous(memory_format=torch.channels_last))
        self.length = nn.Parameter(length)
        self.bias = nn.Parameter(torch.from_numpy(np.zeros(len(weight), np.float32) if bias is None else bias.astype(np.float32)))
        self.stride = given.get("strides", [1, 1])
        self.groups = given.get("group", 1)
        self.dilation = given.get("dilations", [1, 1])
        pads = given.get("pads", [0, 0, 0, 0])
        if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or pads[:2] != pads[2:]:
            raise Unsupported(f"the convolution {node.name} is padded in a way that is not known here")
        self.padding = pads[:2]

    def weight(self) -> torch.Tensor:
        return self.direction * self.length.view(-1, 1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight(), self.bias, self.stride, self.padding, self.dilation, self.groups)


UNARY = {
    "Relu": F.relu,
    "Sigmoid": torch.sigmoid,
    "Exp": torch.exp,
    "Identity": lambda x: x,
    "HardSwish": F.hardswish,
    "Tanh": torch.tanh,
}
BINARY = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}


class OnnxNetwork(nn.Module):
    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.model = model
        graph = model.graph
        constants = constants_of(graph)
        self.constants = {name: torch.from_numpy(np.array(value)) for name, value in constants.items()}
        weights = {each.name for each in graph.initializer}
        self.input_name = next(each.name for each in graph.input if each.name not in weights)
        self.output_name = graph.output[0].name
        self.nodes = [node for node in graph.node if node.output[0] not in constants]
        self.given = [attributes(node) for node in self.nodes]
        self.convolutions = nn.ModuleDict()
        for node in self.nodes:
            if node.op_type != "Conv":
                continue
            if any(name not in constants for name in node.input[1:]):
                raise Unsupported(f"the weights of the convolution {node.name} are not in the file")
            bias = constants[node.input[2]] if len(node.input) > 2 else None
            self.convolutions[self.key(node)] = Convolution(constants[node.input[1]], bias, node)
        uses = [node.input[1] for node in self.nodes if node.op_type == "Conv"]
        if len(set(uses)) != len(uses):
            raise Unsupported("two convolutions share their weights")

    @staticmethod
    def key(node: onnx.NodeProto) -> str:
        return node.input[1].replace(".", "|")

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        values = {**self.constants, self.input_name: pixels}
        for node, given in zip(self.nodes, self.given):
            takes = [values.get(name) for name in node.input]
            values[node.output[0]] = self.run(node, given, takes)
        return values[self.output_name]

    def run(self, node: onnx.NodeProto, given: dict, takes: list) -> torch.Tensor:
        kind = node.op_type
        x = takes[0]
        if kind == "Conv":
            return self.convolutions[self.key(node)](x)
        if kind in UNARY:
            return UNARY[kind](x)
        if kind in BINARY:
            return BINARY[kind](x, takes[1])
        if kind == "LeakyRelu":
            return F.leaky_relu(x, given.get("alpha", 0.01))
        if kind == "Concat":
            return torch.cat(takes, given["axis"])
        if kind == "MaxPool" and given.get("ceil_mode", 0) == 0:
            pads = given.get("pads", [0, 0, 0, 0])
            return F.max_pool2d(x, given["kernel_shape"], given.get("strides", [1, 1]), pads[:2])
        if kind in ("Resize", "Upsample") and given.get("mode", b"nearest") == b"nearest":
            scales = takes[-1] if kind == "Upsample" else (takes[2] if len(takes) == 3 else None)
            size = None if scales is not None else [int(value) for value in takes[3][2:]]
            return F.interpolate(x, size=size, scale_factor=None if scales is None else [float(value) for value in scales[2:]], mode="nearest")
        if kind == "Transpose":
            return x.permute(given["perm"])
        if kind == "Shape":
            return torch.tensor(x.shape)
        if kind == "Cast":
            return x.to({np.dtype("int64"): torch.int64, np.dtype("float32"): torch.float32}[np.dtype(helper.tensor_dtype_to_np_dtype(given["to"]))])
        if kind == "Gather" and takes[1].numel() == 1:
            taken = x.select(given.get("axis", 0), int(takes[1]))
            return taken if takes[1].ndim == 0 else taken.unsqueeze(given.get("axis", 0))
        if kind == "Unsqueeze":
            for axis in sorted(int(value) for value in (takes[1] if len(takes) > 1 else given["axes"])):
                x = x.unsqueeze(axis)
            return x
        if kind == "Slice" and len(takes) > 3:
            steps = takes[4] if len(takes) > 4 else torch.ones(len(takes[3]), dtype=torch.int64)
            where = [slice(None)] * x.ndim
            for start, end, axis, step in zip(takes[1], takes[2], takes[3], steps):
                where[int(axis)] = slice(int(start), int(end), int(step))
            return x[tuple(where)]
        if kind == "Flatten":
            return x.flatten(given.get("axis", 1))
        if kind == "Reshape":
            shape = [int(value) for value in takes[1]]
            # Where an exporter nailed the batch to one.
            if x.ndim > 1 and shape[0] == 1:
                shape[0] = x.shape[0]
            return x.reshape([x.shape[at] if side == 0 else side for at, side in enumerate(shape)])
        raise Unsupported(f"{kind} ({node.name}) is not known here")

    def written(self) -> onnx.ModelProto:
        """The model with the weights as they are now, stored in the precision of the file."""
        model = copy.deepcopy(self.model)
        graph = model.graph
        stored = {each.name: each for each in graph.initializer}
        stored |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"}
        casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type in ("Cast", "Identity")}

        def put(name: str, value: torch.Tensor) -> None:
            tensor = stored[casts.get(name, name)]
            dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            tensor.CopyFrom(numpy_helper.from_array(value.detach().numpy().astype(dtype), tensor.name))

        for node in graph.node:
            if node.op_type != "Conv":
                continue
            convolution = self.convolutions[self.key(node)]
            put(node.input[1], convolution.weight().contiguous())
            if len(node.input) > 2:
                put(node.input[2], convolution.bias)
            elif bool((convolution.bias != 0).any()):
                name = f"{node.output[0]}.bias"
                graph.initializer.append(numpy_helper.from_array(convolution.bias.detach().numpy(), name))
                node.input.append(name)
        del graph.value_info[:]
        return model
