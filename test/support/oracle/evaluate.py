"""Reference numbers for test/unit/cli/coco-evaluation.test.ts: boxes drawn at random, judged by pycocotools.

    python test/support/oracle/evaluate.py test/fixtures/coco-evaluation.json

Needs: pip install pycocotools numpy.
"""

import contextlib
import io
import json
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

random = np.random.default_rng(7)
CLASSES = ["person", "car", "dog"]


def draw():
    x, y, width, height = random.uniform(0, 300), random.uniform(0, 200), random.uniform(10, 150), random.uniform(10, 150)
    return [round(float(v), 1) for v in (x, y, width, height)]


def moved(box):
    return [round(float(v + random.normal(0, 6)), 1) if i < 2 else round(float(max(2, v + random.normal(0, 6))), 1) for i, v in enumerate(box)]


def main():
    truth, found = [], []
    for image in range(1, 13):
        for category in range(1, 4):
            objects = [draw() for _ in range(random.integers(0, 5))]
            for box in objects:
                truth.append(dict(image_id=image, category_id=category, bbox=box, iscrowd=int(random.random() < 0.15)))
            for box in objects:
                for _ in range(random.integers(0, 3)):
                    # One digit: equal scores are common.
                    found.append(dict(image_id=image, category_id=category, bbox=moved(box), score=round(float(random.uniform(0.1, 1)), 1)))
            for _ in range(random.integers(0, 4)):
                found.append(dict(image_id=image, category_id=category, bbox=draw(), score=round(float(random.uniform(0, 0.6)), 1)))
    # More than 100 of one class in a picture.
    found += [dict(image_id=3, category_id=1, bbox=draw(), score=round(float(random.uniform(0, 0.3)), 1)) for _ in range(110)]
    annotations = [dict(each, id=index + 1, area=each["bbox"][2] * each["bbox"][3]) for index, each in enumerate(truth)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(info={}, images=[dict(id=i) for i in range(1, 13)], annotations=annotations,
                            categories=[dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)])
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # overlap, recall, class, area, most
    expected = {name: dict(ap=float(precision[:, :, i, 0, 2].mean()), ap50=float(precision[0, :, i, 0, 2].mean())) for i, name in enumerate(CLASSES)}
    with open(sys.argv[1], "w") as file:
        file.write(json.dumps(dict(classes=CLASSES, truth=truth, found=found, expected=expected)) + "\n")
    print(expected)


main()
