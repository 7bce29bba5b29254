import { coco80Labels } from '../../services/inference/core/coco-labels.ts';
import type { ModelFamily } from '../../services/inference/core/model.ts';

/** A model of somebody else's that `models pull` knows. Only files whose sha256 several independent records agree on are listed. */
export interface CatalogueModel {
  readonly name: string;
  readonly version: string;
  readonly url: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly licence: string;
  readonly family: ModelFamily;
  readonly labels: readonly string[];
  readonly about: string;
}

const yoloxRelease = 'https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0';
const yolox = { version: '0.1.1rc0', licence: 'Apache-2.0', family: 'yolox', labels: coco80Labels } as const;

export const modelCatalogue: readonly CatalogueModel[] = [
  {
    ...yolox,
    name: 'yolox-nano',
    url: `${yoloxRelease}/yolox_nano.onnx`,
    sha256: 'c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d',
    sizeBytes: 3_659_407,
    about: 'the default: 416x416, COCO',
  },
  {
    ...yolox,
    name: 'yolox-tiny',
    url: `${yoloxRelease}/yolox_tiny.onnx`,
    sha256: '427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7',
    sizeBytes: 20_219_662,
    about: 'six times the work of nano, finds more: 416x416, COCO',
  },
  {
    ...yolox,
    name: 'yolox-s',
    url: `${yoloxRelease}/yolox_s.onnx`,
    sha256: 'c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063',
    sizeBytes: 35_858_002,
    about: 'for a machine with cores to spare, or a GPU: 640x640, COCO',
  },
  {
    name: 'fastestdet',
    version: '50473cd',
    url: 'https://raw.githubusercontent.com/dog-qiuqiu/FastestDet/50473cd155cb088aa4a99e64ff6a4b3c24fa07e1/example/onnx-runtime/FastestDet.onnx',
    sha256: '31cb14c017fce347cb4c846ec62fdf00d76bb3beecdf4be21e7116ac67feb880',
    sizeBytes: 998_169,
    licence: 'BSD-3-Clause',
    family: 'fastestdet',
    labels: coco80Labels,
    about: 'the cheapest, for near objects: 352x352, COCO',
  },
  {
    name: 'ultraface-rfb-320',
    version: 'dffddda',
    url: 'https://raw.githubusercontent.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB/dffdddda9794a50607cba8f318507a28c1c27cab/models/onnx/version-RFB-320.onnx',
    sha256: '34cd7e60aeff28744c657de7a3dc64e872d506741de66987f3426f2b79f88017',
    sizeBytes: 1_270_727,
    licence: 'MIT',
    family: 'ultraface',
    labels: ['face'],
    about: 'faces: 320x240',
  },
];
