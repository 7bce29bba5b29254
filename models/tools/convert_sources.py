"""What PyTorch writes, as ONNX, and how the original says what it says, so that both can be compared."""

import tempfile
from pathlib import Path
from typing import Callable

import numpy as np
import onnx

Run = Callable[[np.ndarray], list[np.ndarray]]


class Refused(Exception):
    """With the reason, for whoever converts."""


def from_torchscript(path: Path, size: tuple[int, int] | None, opset: int) -> tuple[onnx.ModelProto, Run]:
    import torch

    if size is None:
        raise Refused("TorchScript does not say how large its input is: --size WIDTHxHEIGHT")
    try:
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
            torch.onnx.export(module, (example,), str(target), opset_version=opset, dynamo=False, **names)
        except Exception as error:  # the exporter raises what it likes
            raise Refused(f"PyTorch cannot write {path.name} as ONNX: {str(error).splitlines()[0][:200]}") from error
        model = onnx.load(target)

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            out = module(torch.from_numpy(pixels))
        return [each.numpy() for each in (out if isinstance(out, (list, tuple)) else [out])]

    return model, run
