"""Static int8 forms of a model: what `sightline models quantise` judges and keeps or refuses.

    python quantise.py JOB.json

Convolutions become int8, one scale for each channel of the weights, ranges from the calibration inputs. The job names the model, those inputs, and the shares of
the convolutions that stay in float, one form for each: those whose int8 form moves the scores most. Lines of JSON come out: progress, then each form; or
why there can be none, with exit code 3. Judging is not done here: the caller runs the forms as it runs any model.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

# Moved scores are measured on so many of the calibration inputs.
SENSITIVITY_INPUTS = 2


class Refused(Exception):
    """With the reason, for whoever asked."""


def say(**what) -> None:
    print(json.dumps(what), flush=True)


class Inputs(CalibrationDataReader):
    def __init__(self, tensors: list[np.ndarray], input_name: str) -> None:
        self.rest = iter([{input_name: tensor} for tensor in tensors])

    def get_next(self):
        return next(self.rest, None)


class Int8Maker:
    """Ranges are measured once; each form of the model is then made from them."""

    def __init__(self, model: Path, tensors: list[np.ndarray], input_name: str, work: Path) -> None:
        self.model = model
        calibrator = create_calibrator(
            str(model), ["Conv"], augmented_model_path=str(work / "augmented.onnx"), calibrate_method=CalibrationMethod.MinMax
        )
        calibrator.set_execution_providers(["CPUExecutionProvider"])
        calibrator.collect_data(Inputs(tensors, input_name))
        self.ranges = calibrator.compute_data()

    def make(self, out: Path, in_float: list[str]) -> None:
        quantiser = QDQQuantizer(
            onnx.load(self.model),
            True,  # a scale for each channel
            False,
            QuantType.QInt8,
            QuantType.QUInt8,
            self.ranges,
            [],
            in_float,
            ["Conv"],
            {"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        quantiser.quantize_model()
        quantiser.model.save_model_to_file(str(out))


def open_session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def prepare(source: Path, work: Path) -> Path:
    model = onnx.load(source)
    # Scales for each channel need opset 13.
    if model.opset_import[0].version < 13:
        model = version_converter.convert_version(model, 13)
    # Some exporters list the weights among the inputs too, where they count as what may change.
    weights = {each.name for each in model.graph.initializer}
    takes = [each for each in model.graph.input if each.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(takes)
    for at, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{at}"
    upgraded, prepared = work / "opset.onnx", work / "prepared.onnx"
    onnx.save(model, upgraded)
    quant_pre_process(str(upgraded), str(prepared), skip_symbolic_shape=True)
    return prepared


def scores_of(outputs: list[np.ndarray], where: dict) -> list[np.ndarray]:
    """What decides of the outputs: the boxes of cells without an object do not matter."""
    found = []
    for output in outputs:
        if where.get("last") is not None and output.shape[-1] != where["last"]:
            continue
        for begin, end in where.get("ranges") or [[0, None]]:
            part = [slice(None)] * output.ndim
            part[where.get("axis", -1)] = slice(begin, end)
            found.append(output[tuple(part)])
    if not found:
        raise Refused(f"no output holds scores: {', '.join(str(list(each.shape)) for each in outputs)}")
    return found


def by_disturbance(maker: Int8Maker, tensors: list[np.ndarray], input_name: str, names: list[str], where: dict, work: Path) -> list[str]:
    """The convolutions, first those that move the scores most when they alone are int8."""
    run = lambda session, tensor: scores_of(session.run(None, {input_name: tensor}), where)
    plain = open_session(maker.model)
    expected = [run(plain, tensor) for tensor in tensors]
    moved = {}
    for at, name in enumerate(names):
        candidate = work / "one.onnx"
        maker.make(candidate, [other for other in names if other != name])
        session = open_session(candidate)
        moved[name] = float(np.mean([np.square(a - b).mean() for tensor, before in zip(tensors, expected) for a, b in zip(run(session, tensor), before)]))
        say(kind="progress", done=at + 1, total=len(names))
    return sorted(names, key=lambda name: -moved[name])


def make_all(job: dict, work: Path) -> None:
    takes = job["input"]
    tensors = [np.fromfile(file, np.float32).reshape(takes["shape"]) for file in job["calibration"]]
    prepared = prepare(Path(job["model"]), work)
    model = onnx.load(prepared)
    inputs = {each.name for each in model.graph.input}
    if inputs != {takes["name"]}:
        raise Refused(f"it has the inputs {', '.join(sorted(inputs))}; only models with one can be calibrated")
    names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    if not names:
        raise Refused("it has no convolution, and nothing else is made int8")
    maker = Int8Maker(prepared, tensors, takes["name"], work)
    order = names
    if any(share > 0 for share in job["float_shares"]):
        order = by_disturbance(maker, tensors[:SENSITIVITY_INPUTS], takes["name"], names, job["scores"], work)
    for at, share in enumerate(job["float_shares"]):
        in_float = order[: round(share * len(names))]
        file = Path(job["out"]) / f"form-{at}.onnx"
        maker.make(file, in_float)
        say(kind="made", file=str(file), in_float=len(in_float), convolutions=len(names))


def main() -> int:
    job = json.loads(Path(sys.argv[1]).read_text())
    onnxruntime.set_default_logger_severity(3)
    with tempfile.TemporaryDirectory() as folder:
        try:
            make_all(job, Path(folder))
        except Refused as refusal:
            say(kind="refused", reason=str(refusal))
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
