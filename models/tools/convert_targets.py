"""ONNX to what phones and small boards run, and how the result says what it says, so that both can be compared."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from convert_sources import Refused, Run, quiet, run_lite


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """With what does not depend on the picture worked out: weights kept in half precision among it, which the converters stumble over."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(target)


def to_lite(model: onnx.ModelProto, is_half: bool) -> tuple[bytes, Run]:
    """TFLite by onnx2tf. Pictures go in with their colours last, as everything does there."""
    model = folded(model)
    with tempfile.TemporaryDirectory() as folder, quiet():
        source = Path(folder) / "model.onnx"
        onnx.save(model, source)
        # It tries models that take pictures on photos, which it fetches where its working folder has none; noise does as well.
        noise = np.random.default_rng(0).uniform(0, 1, (20, 128, 128, 3)).astype(np.float32)
        np.save(Path(folder) / "calibration_image_sample_data_20x128x128x3_float32.npy", noise)
        here = os.getcwd()
        try:
            os.chdir(folder)
            import onnx2tf

            onnx2tf.convert(input_onnx_file_path=str(source), output_folder_path=folder, non_verbose=True, copy_onnx_input_output_names_to_tflite=True)
        # It ends the process where an operator is not known to it.
        except (Exception, SystemExit) as error:
            words = str(error).splitlines() or [type(error).__name__]
            raise Refused(f"onnx2tf cannot write it as TFLite: {words[0][:200]}") from error
        finally:
            os.chdir(here)
        content = (Path(folder) / f"model_float{16 if is_half else 32}.tflite").read_bytes()
    return content, run_lite(content)


def colours_last(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)) if pixels.ndim == 4 and pixels.shape[1] in (1, 3) else pixels


def in_order_of(expected: list[np.ndarray], got: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs in the order and with the axes of the original, as far as their shapes tell."""
    rest, ordered = list(got), []
    for one in expected:
        at = next((at for at, other in enumerate(rest) if other.shape == one.shape), None)
        if at is not None:
            ordered.append(rest.pop(at))
            continue
        turned = [(at, other.transpose(0, other.ndim - 1, *range(1, other.ndim - 1))) for at, other in enumerate(rest) if other.ndim == one.ndim > 2]
        at = next((at for at, other in turned if other.shape == one.shape), None)
        if at is None:
            raise Refused(f"no output has the shape {list(one.shape)}: {', '.join(str(list(each.shape)) for each in got)}")
        ordered.append(dict(turned)[at])
        rest.pop(at)
    return ordered


def to_coreml(model: onnx.ModelProto, target: Path, is_half: bool) -> Run | None:
    """Core ML by onnx2coreml, written to `target`. None where it cannot be run: only macOS has Core ML."""
    model = folded(model)
    with quiet():
        try:
            import onnx2coreml

            made = onnx2coreml.convert(model, compute_precision="fp16" if is_half else "fp32", compute_units="cpu_only")
        except Exception as error:  # the converter raises what it likes
            raise Refused(f"onnx2coreml cannot write it as Core ML: {(str(error).splitlines() or [type(error).__name__])[0][:200]}") from error
        if target.exists():
            shutil.rmtree(target)
        made.save(str(target))
    if sys.platform != "darwin":
        return None
    described = made.get_spec().description
    takes, gives = described.input[0].name, [each.name for each in described.output]

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        out = made.predict({takes: pixels})
        return [np.asarray(out[name]) for name in gives]

    return run


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(each.stat().st_size for each in path.rglob("*") if each.is_file())

