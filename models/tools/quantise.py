"""Static int8 of a detector, kept only where it loses at most a point of AP50 and is faster on this machine.

    python quantise.py --model ../yolox-nano.yaml --calibration CLIP_OR_FOLDER --images DIR --annotations COCO.json --out DIR

Convolutions become int8, one scale for each channel of the weights, ranges from the calibration pictures. Where AP50 falls by more than the gate
allows, the convolutions whose int8 form disturbs the output most stay in float, more and more of them until the gate holds. A table of before
and after is printed in any case. Exit code 1 and no file where the result is worse or not faster.
"""

import argparse
import copy
import hashlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

import detector

# Shares of the convolutions left in float, tried in this order.
FLOAT_SHARES = (0.0, 0.06, 0.12, 0.25, 0.4, 0.6)


class Pictures(CalibrationDataReader):
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
        calibrator.collect_data(Pictures(tensors, input_name))
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


def convolutions(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node if node.op_type == "Conv"]


def output_disturbance(maker: Int8Maker, tensors: list[np.ndarray], input_name: str, names: list[str], work: Path) -> dict[str, float]:
    """How far the output moves when one convolution alone is int8, for each."""
    expected = [detector.open_session(maker.model).run(None, {input_name: tensor})[0] for tensor in tensors]
    moved = {}
    for at, name in enumerate(names):
        candidate = work / "one.onnx"
        maker.make(candidate, [other for other in names if other != name])
        session = detector.open_session(candidate)
        # Scores decide; boxes of cells without an object do not matter.
        moved[name] = float(
            np.mean([np.square(session.run(None, {input_name: t})[0][..., 4:] - e[..., 4:]).mean() for t, e in zip(tensors, expected)])
        )
        print(f"\rsensitivity {at + 1}/{len(names)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return moved


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model; its file lies beside it, or see --file")
    parser.add_argument("--file", type=Path, help="the .onnx file, where it is not beside the manifest")
    parser.add_argument("--calibration", type=Path, required=True, help="a clip or a folder of pictures like those of the cameras")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True, help="COCO JSON of --images; none of them should be in --calibration")
    parser.add_argument("--out", type=Path, required=True, help="folder for the int8 model and its manifest")
    parser.add_argument("--frames", type=int, default=64, help="calibration pictures")
    parser.add_argument("--gate", type=float, default=0.01, help="AP50 that may be lost (0.01 is a point)")
    parser.add_argument("--classes", help="judge these only, by name, with commas")
    args = parser.parse_args()

    manifest = detector.read_manifest(args.model)
    source = args.file or args.model.parent / manifest["file"]
    input_name = manifest["input"]["name"]
    only = set(args.classes.split(",")) if args.classes else None
    labelled = detector.Labelled(args.images, args.annotations)
    tensors = [detector.pixels_of(each, manifest)[0] for each in detector.read_pictures(args.calibration, args.frames)]

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepared = work / "prepared.onnx"
        upgraded = work / "opset.onnx"
        model = onnx.load(source)
        # Scales for each channel need opset 13.
        if model.opset_import[0].version < 13:
            model = version_converter.convert_version(model, 13)
        for at, node in enumerate(model.graph.node):
            node.name = node.name or f"node_{at}"
        onnx.save(model, upgraded)
        quant_pre_process(str(upgraded), str(prepared), skip_symbolic_shape=True)
        names = convolutions(onnx.load(prepared))
        maker = Int8Maker(prepared, tensors, input_name, work)

        before = labelled.judge(detector.open_session(source), manifest, only)
        print(f"before: AP50 {before['ap50']:.4f}; {len(names)} convolutions", file=sys.stderr)
        candidate = work / "int8.onnx"
        after, in_float, order = None, [], None
        for share in FLOAT_SHARES:
            if share > 0 and order is None:
                lost = output_disturbance(maker, tensors[:2], input_name, names, work)
                order = sorted(names, key=lambda name: -lost[name])
            in_float = [] if order is None else order[: round(share * len(names))]
            maker.make(candidate, in_float)
            after = labelled.judge(detector.open_session(candidate), manifest, only)
            print(f"{len(in_float)} in float: AP50 {after['ap50']:.4f}", file=sys.stderr)
            if after["ap50"] >= before["ap50"] - args.gate:
                break

        sessions = {"before": (detector.open_session(source), manifest), "after": (detector.open_session(candidate), manifest)}
        times = detector.cpu_ms(sessions)
        print(f"{'':8}{'AP':>8}{'AP50':>8}{'CPU ms':>9}{'RSS MB':>9}{'size KB':>9}")
        for name, figures, path in (("before", before, source), ("after", after, candidate)):
            memory = detector.rss_mb(path, input_name)
            print(f"{name:8}{figures['ap']:8.4f}{figures['ap50']:8.4f}{times[name]:9.2f}{memory:9.1f}{path.stat().st_size / 1024:9.0f}")
        print(f"{len(names) - len(in_float)} of {len(names)} convolutions in int8; CPU time {times['after'] / times['before']:.2f} of before")
        if after["ap50"] < before["ap50"] - args.gate:
            print(f"REFUSED: AP50 falls by {before['ap50'] - after['ap50']:.4f}, the gate allows {args.gate}")
            return 1
        if times["after"] > 0.95 * times["before"]:
            print("REFUSED: not faster on this machine, so it would only be worse")
            return 1

        args.out.mkdir(parents=True, exist_ok=True)
        content = candidate.read_bytes()
    made = copy.deepcopy(manifest)
    made["name"] = f"{manifest['name']}-int8"
    made["file"] = f"{made['name']}.onnx"
    made["sha256"] = hashlib.sha256(content).hexdigest()
    made["precision"] = "INT8"
    made["source"] = f"models/tools/quantise.py from {manifest['name']} {manifest['version']}, sha256 {manifest['sha256']}"
    (args.out / made["file"]).write_bytes(content)
    (args.out / f"{made['name']}.yaml").write_text(yaml.safe_dump(made, sort_keys=False))
    print(f"written: {args.out / made['name']}.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
