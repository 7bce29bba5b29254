"""ONNX to ONNX, with the outputs held against the original's: newer opset, half precision, batch size, normalisation inside the graph.

    python convert.py IN.onnx OUT.onnx [--opset 17] [--fp16] [--batch 4 | --batch dynamic] [--mean 123.7,116.3,103.5 --std 58.4,57.1,57.4]

With --mean and --std the new model takes pixels 0..255 in the same channel order. Exit code 1 and no file where the largest difference is above --tolerance.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, version_converter
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel


def real_inputs(model: onnx.ModelProto) -> list:
    """Some exporters list the weights among the inputs too."""
    weights = {each.name for each in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in weights]


def fold_normalisation(model: onnx.ModelProto, mean: list[float], std: list[float]) -> None:
    name = real_inputs(model)[0].name
    shape = (1, len(mean), 1, 1)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.float32(mean).reshape(shape), "fold_mean"),
            numpy_helper.from_array(1 / np.float32(std).reshape(shape), "fold_scale"),
        ]
    )
    for node in model.graph.node:
        for at, each in enumerate(node.input):
            if each == name:
                node.input[at] = "fold_normalised"
    model.graph.node.insert(0, helper.make_node("Mul", ["fold_centred", "fold_scale"], ["fold_normalised"], "fold_mul"))
    model.graph.node.insert(0, helper.make_node("Sub", [name, "fold_mean"], ["fold_centred"], "fold_sub"))


def set_batch(model: onnx.ModelProto, batch: str) -> None:
    for each in [*real_inputs(model), *model.graph.output]:
        dims = each.type.tensor_type.shape.dim
        if len(dims) == 0:
            continue
        if batch == "dynamic":
            dims[0].dim_param = "batch"
        else:
            dims[0].dim_value = int(batch)
    del model.graph.value_info[:]
    # A reshape to [1, …] nails the batch to 1; 0 means "as it comes in". The comparison of outputs shows whether that was right.
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    constants = [(each.name, each) for each in model.graph.initializer]
    constants += [(node.output[0], node.attribute[0].t) for node in model.graph.node if node.op_type == "Constant"]
    for name, tensor in constants:
        if name in shapes:
            values = numpy_helper.to_array(tensor).copy()
            if values.size > 1 and values[0] == 1:
                values[0] = 0
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def outputs_of(content: bytes, values: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})


def numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--opset", type=int)
    parser.add_argument("--fp16", action="store_true", help="weights and arithmetic in half precision; inputs and outputs stay float32")
    parser.add_argument("--batch", help="a number, or dynamic")
    parser.add_argument("--mean", type=numbers)
    parser.add_argument("--std", type=numbers)
    parser.add_argument("--tolerance", type=float, help="largest difference allowed; default 0.001, with --fp16 0.1")
    args = parser.parse_args()
    if (args.mean is None) != (args.std is None):
        parser.error("--mean and --std go together")

    original = args.source.read_bytes()
    model = onnx.load_from_string(original)
    takes = real_inputs(model)
    if len(takes) != 1:
        parser.error(f"the model has {len(takes)} inputs; one is supported")
    shape = [dim.dim_value or 1 for dim in takes[0].type.tensor_type.shape.dim]
    if args.opset is not None:
        model = version_converter.convert_version(model, args.opset)
    if args.mean is not None:
        fold_normalisation(model, args.mean, args.std)
    if args.batch is not None:
        set_batch(model, args.batch)
    if args.fp16:
        model = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=args.batch is not None)
        sorter = OnnxModel(model)
        sorter.topological_sort()
        model = sorter.model
    onnx.checker.check_model(model)
    made = model.SerializeToString()

    pixels = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    before_pixels = pixels
    if args.mean is not None:
        form = (1, len(args.mean), 1, 1)
        before_pixels = (pixels - np.float32(args.mean).reshape(form)) / np.float32(args.std).reshape(form)
    count = {None: 1, "dynamic": 2}.get(args.batch) or int(args.batch)
    expected = outputs_of(original, before_pixels)
    got = outputs_of(made, np.repeat(pixels, count, 0))
    worst = 0.0
    for at, (one, other) in enumerate(zip(expected, got)):
        if other.shape[0] != one.shape[0] * count:
            print(f"REFUSED: output {at} is {list(other.shape)} for {count} pictures: a shape inside the graph is fixed to one")
            return 1
        difference = max(float(np.abs(one - part).max()) for part in np.split(other, count))
        worst = max(worst, difference)
        print(f"output {at}: {list(one.shape)} -> {list(other.shape)}, largest difference {difference:.2e}")
    print(f"size {len(original) / 1024:.0f} KB -> {len(made) / 1024:.0f} KB, opset {model.opset_import[0].version}")
    tolerance = args.tolerance if args.tolerance is not None else (0.1 if args.fp16 else 0.001)
    if worst > tolerance:
        print(f"REFUSED: {worst:.2e} is above {tolerance}")
        return 1
    args.target.write_bytes(made)
    print(f"written: {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
