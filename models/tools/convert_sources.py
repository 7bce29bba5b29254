"""What PyTorch and TensorFlow write, as ONNX, and how the original says what it says, so that both can be compared.

Each gives the model, how the original is run, and the size of the original. Their packages are imported where they are used: no route needs those of another one.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Callable

import numpy as np
import onnx

Run = Callable[[np.ndarray], list[np.ndarray]]
Source = tuple[onnx.ModelProto, Run, int]


class Refused(Exception):
    """With the reason, for whoever converts."""


def from_torchscript(path: Path, size: tuple[int, int] | None, opset: int) -> Source:
    import torch

    if size is None:
        raise Refused("TorchScript does not say how large its input is: --size WIDTHxHEIGHT")
    try:
        with quiet():
            module = torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise Refused(
            f"{path.name} is not TorchScript. A pickled module or a state dict holds no network that could be read without the program that made it, "
            f"and unpickling runs what its author wrote: save it there with torch.jit.script(model).save(…) ({str(error).splitlines()[0][:120]})"
        ) from error
    example = torch.rand(1, 3, size[1], size[0]) * 255
    names = {"input_names": ["images"]}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        try:
            with quiet():
                torch.onnx.export(module, (example,), str(target), opset_version=opset, dynamo=False, **names)
        except Exception as error:  # the exporter raises what it likes
            raise Refused(f"PyTorch cannot write {path.name} as ONNX: {str(error).splitlines()[0][:200]}") from error
        model = onnx.load(target)

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            out = module(torch.from_numpy(pixels))
        return [each.numpy() for each in (out if isinstance(out, (list, tuple)) else [out])]

    return model, run, path.stat().st_size


@contextlib.contextmanager
def quiet():
    """Converters and runtimes tell of each of their steps, some of them below Python."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TQDM_DISABLE="1")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def from_tensorflow(path: Path, opset: int) -> Source:
    """TFLite, or the folder of a SavedModel."""
    is_lite = path.suffix == ".tflite"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        # In a process of its own: what is wrong with a file may end the converter, and its log is not ours.
        command = [sys.executable, "-m", "tf2onnx.convert", "--tflite" if is_lite else "--saved-model", str(path), "--output", str(target), "--opset", str(opset)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"})
        if done.returncode != 0 or not target.exists():
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
            raise Refused(f"tf2onnx cannot write {path.name} as ONNX: {lines[-1][:200]}")
        model = onnx.load(target)
    if is_lite:
        return model, run_lite(path.read_bytes()), path.stat().st_size
    size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return model, run_saved(path), size


def run_lite(content: bytes) -> Run:
    with quiet():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
    takes = interpreter.get_input_details()
    if len(takes) != 1:
        raise Refused(f"the model has {len(takes)} inputs; one is supported")

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        if list(takes[0]["shape"]) != list(pixels.shape):
            interpreter.resize_tensor_input(takes[0]["index"], pixels.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(takes[0]["index"], pixels.astype(takes[0]["dtype"]))
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]

    return run


def run_saved(path: Path) -> Run:
    with quiet():
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        raise Refused(f"{path.name} has no signature serving_default: {', '.join(loaded.signatures) or 'none at all'}")
    takes = signature.structured_input_signature[1]
    if len(takes) != 1:
        raise Refused(f"the model has {len(takes)} inputs; one is supported")
    name, spec = next(iter(takes.items()))

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        out = signature(**{name: tf.constant(pixels, spec.dtype)})
        # The order in which tf2onnx hands them out too.
        return [each.numpy() for _, each in sorted(out.items())]

    run.loaded = loaded  # it dies with its owner otherwise
    return run
