#!/usr/bin/env bash
# Every route of `sightline models convert` between frameworks, by the command as users have it: its Python packages are installed first (about 7 GB in all).
#   test/soak/convert.sh [MODEL.onnx]     more models to take along
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tools=${SIGHTLINE_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/sightline}/python-tools
convert() { echo "== $*"; npx sightline models convert "$@"; }
python_of() { echo "$tools/$(sha256sum "models/tools/requirements-$1.txt" | cut -c1-12)/bin/python"; }

for model in models/sightline-nano.onnx "$@"; do
  name=$(basename "$model" .onnx)
  convert "$model" "$work/$name.tflite"
  convert "$model" "$work/$name-half.tflite" --fp16
  convert "$model" "$work/$name.mlpackage"
done
# The environments are there now.
TF_CPP_MIN_LOG_LEVEL=3 "$(python_of tensorflow)" - "$work" <<'PYTHON' 2>/dev/null
import sys
import numpy as np
import tensorflow as tf

work = sys.argv[1]
picture = tf.keras.Input((64, 96, 3), batch_size=1)
x = tf.keras.layers.Conv2D(16, 3, 2, "same", activation="relu")(picture / 255.0)
x = tf.keras.layers.BatchNormalization()(tf.keras.layers.DepthwiseConv2D(3, 1, "same")(x))
x = tf.keras.layers.Conv2D(32, 3, 2, "same", activation="swish")(x)
scores = tf.keras.layers.Dense(6, activation="sigmoid")(tf.keras.layers.GlobalAveragePooling2D()(x))
tf.keras.Model(picture, {"boxes": tf.keras.layers.Reshape((-1, 32))(x), "scores": scores}).export(f"{work}/saved", verbose=False)
converter = tf.lite.TFLiteConverter.from_saved_model(f"{work}/saved")
open(f"{work}/net.tflite", "wb").write(converter.convert())
converter = tf.lite.TFLiteConverter.from_saved_model(f"{work}/saved")
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([np.random.rand(1, 64, 96, 3).astype(np.float32) * 255] for _ in range(8))
open(f"{work}/net-int8.tflite", "wb").write(converter.convert())
PYTHON
convert "$work/net.tflite" "$work/from-lite.onnx"
convert "$work/net-int8.tflite" "$work/from-lite-int8.onnx"
convert "$work/saved" "$work/from-saved.onnx"
# A first call that needs PyTorch and is refused: it installs, and says why a pickle is not read.
echo "no network" > "$work/pickled.pt"
convert "$work/pickled.pt" "$work/none.onnx" --size 96x64 || echo "refused, as it should be"
"$(python_of training)" - "$work" <<'PYTHON'
import sys
import torch

layers = torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.SiLU(), torch.nn.Conv2d(16, 6, 1), torch.nn.Sigmoid()
torch.jit.script(torch.nn.Sequential(*layers).eval()).save(f"{sys.argv[1]}/net.pt")
PYTHON
convert "$work/net.pt" "$work/from-torch.onnx" --size 96x64
convert "$work/from-torch.onnx" "$work/from-torch.tflite"
