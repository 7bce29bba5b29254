"""From ONNX, TorchScript, TFLite and TensorFlow to ONNX, and from any of them to TFLite and Core ML, with the outputs held against the original's: newer
opset, half precision, batch size, normalisation, and decoding with suppression inside the graph.

    python convert.py IN OUT [options]

What `sightline models convert` does and is told in its help. Lines of JSON come out: what was found, then the whole as one object.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, version_converter

import fold_nms
from convert_sources import Refused, Run, Source, from_tensorflow, from_torchscript

# Largest difference, as a share of the largest output, where the arithmetic stays the same: 1e-4 was the most that any model tried showed.
SAME_TOLERANCE = 1e-3
# Root of the mean square of the difference over the deviation of the output, in half precision. Nine models, on noise and photos: 0.0004 to 0.018.
# The largest difference says nothing there: 0.003 to 0.48, the worst in boxes of cells that see nothing.
HALF_TOLERANCE = 0.03
TORCH = {".pt", ".pth", ".torchscript"}
TARGETS = (".onnx", ".tflite", ".mlpackage")


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


def runner(content: bytes) -> Run:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda values: session.run(None, {session.get_inputs()[0].name: values})


def to_half(model: onnx.ModelProto, knows_shapes: bool) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    sorter = OnnxModel(convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=not knows_shapes))
    sorter.topological_sort()
    return sorter.model


def say(line: str) -> None:
    print(json.dumps({"kind": "said", "text": line}), flush=True)


def numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def sides(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.split("x"))
    return width, height


def read_source(args: argparse.Namespace) -> Source:
    source = args.source
    if not source.exists():
        raise Refused(f"there is no {source}")
    if source.suffix == ".onnx":
        content = source.read_bytes()
        return onnx.load_from_string(content), runner(content), len(content)
    if source.suffix in TORCH:
        return from_torchscript(source, args.size, args.opset or 17)
    if source.suffix == ".tflite" or (source / "saved_model.pb").exists():
        return from_tensorflow(source, args.opset or 17)
    raise Refused(
        f"{source.name}: .onnx, TorchScript ({', '.join(sorted(TORCH))}), .tflite and folders with a saved_model.pb are read. A Keras file is saved as such a folder "
        "by the program that made it: model.export(FOLDER)"
    )


def samples(args: argparse.Namespace, shape: list[int], dtype: np.dtype = np.dtype(np.float32)) -> list[np.ndarray]:
    taken = [np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)]
    for path in args.picture:
        import cv2

        picture = cv2.imread(str(path))
        if picture is None or len(shape) != 4:
            raise Refused(f"{path} cannot be used as a picture")
        is_planar = shape[1] == 3
        height, width = shape[2:] if is_planar else shape[1:3]
        scaled = cv2.resize(picture, (width, height)).astype(dtype)
        taken.append((scaled.transpose(2, 0, 1) if is_planar else scaled)[None])
    return taken


class Parity:
    """How far the outputs of two models are apart, over all samples."""

    def __init__(self, is_half: bool, tolerance: float | None) -> None:
        self.is_half = is_half
        self.tolerance = tolerance if tolerance is not None else HALF_TOLERANCE if is_half else SAME_TOLERANCE
        self.worst = 0.0

    def compare(self, report: dict, at: int, expected: np.ndarray, got: list[np.ndarray]) -> str:
        largest = max(float(np.abs(expected - part).max()) for part in got)
        of_largest = largest / max(float(np.abs(expected).max()), 1e-9)
        of_deviation = max(float(np.sqrt(np.square(expected - part).mean())) for part in got) / max(float(expected.std()), 1e-9)
        measure = of_deviation if self.is_half else of_largest
        # Written so that what is no number fails.
        self.worst = measure if not measure <= self.worst else self.worst
        report["outputs"].append({"output": at, "shape": list(expected.shape), "largest": largest, "of_largest": of_largest, "of_deviation": of_deviation})
        return f"output {at}: {list(expected.shape)}, largest difference {largest:.2e} ({of_largest:.1e} of the largest value), in the mean square {of_deviation:.1e} of the deviation"

    def is_held(self) -> bool:
        return self.worst <= self.tolerance

    def measure(self) -> str:
        return "of the deviation, in the mean square" if self.is_half else "of the largest value"


def compare_plain(args: argparse.Namespace, original: Run, made: Run, shape: list[int], dtype: np.dtype) -> None:
    count = {None: 1, "dynamic": 2}.get(args.batch) or int(args.batch)
    parity = Parity(args.fp16, args.tolerance)
    for pixels in samples(args, shape, dtype):
        expected, got = original(unfolded(args, pixels)), made(np.repeat(pixels, count, 0))
        if len(expected) != len(got):
            raise Refused(f"{len(got)} outputs in place of {len(expected)}")
        # Frameworks hand out several outputs in an order of their own.
        if [each.shape for each in expected] != [each.shape for each in got] and count == 1:
            got = [next((each for each in got if each.shape == one.shape), got[0]) for one in expected]
        for at, (one, other) in enumerate(zip(expected, got)):
            if other.shape[0] != one.shape[0] * count or other.shape[1:] != one.shape[1:]:
                raise Refused(f"output {at} is {list(other.shape)} for {count} pictures, was {list(one.shape)}: a shape inside the graph is fixed")
            say(parity.compare(args.report, at, one, np.split(other, count)))
    if not parity.is_held():
        raise Refused(f"{parity.worst:.2e} {parity.measure()} is above {parity.tolerance}")


def compare_boxes(args: argparse.Namespace, original: Run, made: Run, shape: list[int]) -> None:
    total = 0
    for pixels in samples(args, shape):
        expected = fold_nms.by_hand(original(pixels)[0], *shape[2:], args.strides, args.score, args.overlap)
        got = made(pixels)[0][0]
        alone, worst = fold_nms.differences(expected, got)
        args.report["boxes"].append({"by_hand": len(expected), "from_graph": len(got), "alone": alone, "largest": worst})
        say(f"{len(expected)} boxes by hand, {len(got)} from the graph; {alone} that only one of both has, the others differ by at most {worst:.2e}")
        total += len(expected)
        if alone > 0 or worst > 0.05:
            raise Refused("the boxes are not the same")
    if total == 0:
        raise Refused("no box came out, so nothing was compared: name pictures that show something (--picture)")


def sizes_of(takes: onnx.ValueInfoProto, size: tuple[int, int] | None) -> list[int]:
    """Of one picture. What the file leaves open is said by --size."""
    shape = [dim.dim_value for dim in takes.type.tensor_type.shape.dim]
    if len(shape) == 4 and size is not None:
        at = 1 if shape[3] == 3 else 2
        shape[at : at + 2] = [side or wanted for side, wanted in zip(shape[at : at + 2], (size[1], size[0]))]
    if 0 in shape[1:]:
        raise Refused("the file leaves the size of its input open: --size WIDTHxHEIGHT")
    return [shape[0] or 1, *shape[1:]]


def fixed(model: onnx.ModelProto, shape: list[int]) -> onnx.ModelProto:
    """With the size of the input written down: the other forms know no open one."""
    for dim, value in zip(real_inputs(model)[0].type.tensor_type.shape.dim, shape):
        dim.dim_value = value
    return model


def convert_away(args: argparse.Namespace, model: onnx.ModelProto, original: Run, size: int, shape: list[int]) -> None:
    import convert_targets

    is_lite = args.target.suffix == ".tflite"
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / args.target.name
        if is_lite:
            content, run = convert_targets.to_lite(model, args.fp16)
            written.write_bytes(content)
        else:
            run = convert_targets.to_coreml(model, written, args.fp16)
        if run is not None:
            turn = convert_targets.colours_last if is_lite else lambda pixels: pixels
            compare_plain(args, original, lambda pixels: convert_targets.in_order_of(original(unfolded(args, pixels)), run(turn(pixels))), shape, np.dtype(np.float32))
        if args.target.is_dir():
            shutil.rmtree(args.target)
        shutil.move(written, args.target)
    after = convert_targets.size_of(args.target)
    args.report |= {"size_before": size, "size_after": after, "compared": run is not None, "written": str(args.target)}
    if run is None:
        args.report["code"] = "SIGHTLINE_CONVERSION_UNCHECKED"
    if is_lite and convert_targets.colours_last(np.zeros(shape)).shape != tuple(shape):
        say(f"input {shape} -> {list(convert_targets.colours_last(np.zeros(shape)).shape)}: colours last, as everything is in TFLite")
    say(f"size {size / 1024:.0f} KB -> {after / 1024:.0f} KB")
    say(f"written: {args.target}")


def unfolded(args: argparse.Namespace, pixels: np.ndarray) -> np.ndarray:
    """What the original takes for these pixels."""
    if args.mean is None:
        return pixels
    form = (1, len(args.mean), 1, 1)
    return (pixels - np.float32(args.mean).reshape(form)) / np.float32(args.std).reshape(form)


def convert(args: argparse.Namespace) -> None:
    if args.target.suffix not in TARGETS:
        raise Refused(f"{args.target.name}: {', '.join(TARGETS)} are written")
    if args.target.suffix != ".onnx" and (args.nms is not None or args.batch is not None):
        raise Refused(f"--nms and --batch are for ONNX: convert to {args.target.with_suffix('.onnx').name} first, then that to {args.target.name}")
    model, original, size = read_source(args)
    takes = real_inputs(model)
    if len(takes) != 1:
        raise Refused(f"the model has {len(takes)} inputs; one is supported")
    shape = sizes_of(takes[0], args.size)
    dtype = helper.tensor_dtype_to_np_dtype(takes[0].type.tensor_type.elem_type)
    if args.opset is not None and model.opset_import[0].version != args.opset:
        model = version_converter.convert_version(model, args.opset)
    if args.mean is not None:
        fold_normalisation(model, args.mean, args.std)
    if args.batch is not None:
        set_batch(model, args.batch)
    if args.nms is not None:
        if model.opset_import[0].version < 13:
            model = version_converter.convert_version(model, 13)
        fold_nms.fold(model, *shape[2:], args.strides, args.score, args.overlap, args.most)
    if args.target.suffix != ".onnx":
        convert_away(args, fixed(model, shape), original, size, shape)
        return
    if args.fp16:
        model = to_half(model, args.batch is None)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    if args.nms is None:
        compare_plain(args, original, runner(content), shape, dtype)
    else:
        compare_boxes(args, original, runner(content), shape)
    args.report |= {"size_before": size, "size_after": len(content), "opset": model.opset_import[0].version, "written": str(args.target)}
    say(f"size {size / 1024:.0f} KB -> {len(content) / 1024:.0f} KB, opset {model.opset_import[0].version}")
    args.target.write_bytes(content)
    say(f"written: {args.target}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--opset", type=int, help="from other frameworks 17 where nothing is said")
    parser.add_argument("--fp16", action="store_true", help="weights and arithmetic in half precision; inputs and outputs stay float32")
    parser.add_argument("--batch", help="a number, or dynamic")
    parser.add_argument("--mean", type=numbers)
    parser.add_argument("--std", type=numbers)
    parser.add_argument("--size", type=sides, help="WIDTHxHEIGHT of the input, where the file does not say it (TorchScript never does)")
    parser.add_argument("--nms", choices=["yolox"], help="decoding and suppression into the graph, for outputs of this form")
    parser.add_argument("--strides", type=lambda text: [int(part) for part in text.split(",")], default=[8, 16, 32])
    parser.add_argument("--score", type=float, default=0.05, help="boxes below it are left out by the graph")
    parser.add_argument("--overlap", type=float, default=0.45, help="boxes of one class that overlap by more are one")
    parser.add_argument("--most", type=int, default=100, help="most boxes of one class")
    parser.add_argument("--picture", type=Path, action="append", default=[], help="compare on this one too; may be given again")
    parser.add_argument("--tolerance", type=float, help=f"default {SAME_TOLERANCE} of the largest value; with --fp16 {HALF_TOLERANCE} of the deviation, in the mean square")
    args = parser.parse_args()
    args.report = {"written": None, "refused": None, "code": None, "compared": True, "outputs": [], "boxes": []}
    try:
        convert(args)
    # Besides ours, what onnx and the runtime raise of a model that they cannot do with.
    except Exception as refusal:
        if os.environ.get("SIGHTLINE_DEBUG"):
            traceback.print_exc()
        args.report["refused"] = str(refusal) if isinstance(refusal, Refused) else f"{type(refusal).__name__}: {(str(refusal).splitlines() or [''])[0][:300]}"
        args.report["code"] = "SIGHTLINE_CONVERSION_REFUSED"
    print(json.dumps({"kind": "done", **args.report}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
