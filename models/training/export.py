"""Writes a checkpoint's averaged weights as ONNX: `python export.py --checkpoint DIR/last.pt --out sightline-nano.onnx`; prints parity and sha256."""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from network import MEAN, STD, Exported, Nano


def halve_weights(model: onnx.ModelProto) -> None:
    """Stores the weights in half precision, with a cast before each use, which the runtime does once as it loads: half the size, the same speed."""
    graph = model.graph
    casts = []
    for initializer in graph.initializer:
        values = onnx.numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.size < 64:
            continue
        name = initializer.name
        initializer.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--width", type=int, default=320, help="of the input, a multiple of 32")
    parser.add_argument("--height", type=int, default=320)
    args = parser.parse_args()
    network = Nano()
    network.load_state_dict(torch.load(args.checkpoint)["average"])
    exported = Exported(network).eval()
    example = (torch.rand(1, 3, args.height, args.width) * 255 - MEAN) / STD
    torch.onnx.export(
        exported, (example,), args.out, input_names=["images"], output_names=["output"], opset_version=13, dynamo=False
    )
    model = onnx.load(args.out)
    halve_weights(model)
    onnx.checker.check_model(model)
    onnx.save(model, args.out)
    with torch.no_grad():
        expected = exported(example).numpy()
    got = onnxruntime.InferenceSession(args.out, providers=["CPUExecutionProvider"]).run(None, {"images": example.numpy()})[0]
    content = Path(args.out).read_bytes()
    print(f"largest difference {np.abs(got - expected).max():.2e}, {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
