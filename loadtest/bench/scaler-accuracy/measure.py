"""What each scaler of ffmpeg costs in accuracy, against the preprocessing of the model's authors (OpenCV's resize).

    python loadtest/bench/scaler-accuracy/measure.py --data ../shared/data

Needs: pip install onnxruntime numpy opencv-python-headless pycocotools; ffmpeg in PATH; Node in PATH.
Boxes come from our own code (detect-folder.ts beside this file: geometry, decoder, suppression) for every row of the table; only the pixels differ.
Score floor 0.01 and overlap 0.65, as such figures are measured.
"""

import argparse
import contextlib
import io
import json
import pathlib
import subprocess
import tempfile

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = pathlib.Path(__file__).resolve().parent
SIZE = 416
SCALERS = ["cv2", "bilinear", "fast_bilinear", "bicubic", "area"]


def target(width, height):
    if width >= height:
        return SIZE, max(1, height * SIZE // width)
    return max(1, width * SIZE // height), SIZE


def write_pixels(scaler, path, width, height, out):
    if scaler == "cv2":
        picture = cv2.resize(cv2.imread(str(path)), (width, height), interpolation=cv2.INTER_LINEAR)
        out.write_bytes(np.ascontiguousarray(picture.transpose(2, 0, 1)[[1, 0, 2]]).tobytes())
        return
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-vf", f"scale={width}:{height}:flags={scaler}",
         "-f", "rawvideo", "-pix_fmt", "gbrp", str(out)],
        check=True,
    )


def average_precision(coco, detections):
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    data = parser.parse_args().data.resolve()
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(data / "images/coco_labelled.json"))
    # Class indices of the model are COCO's categories in the order of their ids.
    categories = sorted(coco.getCatIds())
    print("| scaler | AP 0.50:0.95 | AP50 |\n|---|---|---|")
    for scaler in SCALERS:
        with tempfile.TemporaryDirectory() as folder:
            cases = []
            for image in coco.loadImgs(coco.getImgIds()):
                path = data / "images/coco_labelled" / image["file_name"]
                width, height = target(image["width"], image["height"])
                out = pathlib.Path(folder) / f'{image["id"]}.gbrp'
                write_pixels(scaler, path, width, height, out)
                cases.append(dict(id=image["id"], file=str(out), widthPx=width, heightPx=height))
            answer = subprocess.run(
                ["node", str(HERE / "detect-folder.ts"), str(data / "models")],
                input=json.dumps(cases), check=True, capture_output=True, text=True,
            ).stdout
            detections = []
            for found in json.loads(answer):
                image = coco.loadImgs(found["id"])[0]
                width, height = image["width"], image["height"]
                for box in found["objects"]:
                    detections.append(dict(
                        image_id=found["id"], category_id=categories[box["class_id"]], score=box["confidence"],
                        bbox=[box["x"] * width, box["y"] * height, box["width"] * width, box["height"] * height],
                    ))
            ap, ap50 = average_precision(coco, detections)
            print(f"| {scaler} | {ap:.3f} | {ap50:.3f} |", flush=True)


if __name__ == "__main__":
    main()
