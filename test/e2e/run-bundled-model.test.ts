import { describe, expect, it } from 'vitest';
import { demoScene } from '../../cli/demo/demo-scene.ts';
import { demoSceneClip, sceneFramesAtFiveFps } from '../support/demo-scene-clip.ts';
import { prepareRun } from '../support/e2e-run.ts';
import { readDetections } from '../support/read-records.ts';
import { runSightline } from '../support/run-sightline.ts';

describe('sightline run on a machine without any other model', () => {
  it('says that the bundled model runs, and finds the people and the cars of the demo scene with it', async () => {
    const run = await prepareRun();
    // An empty state directory: no model was ever fetched here.
    const place = ['--state-dir', run.stateDir, '--results', run.results];
    const environment = { ...run.environment, SIGHTLINE_MODELS_DIR: run.directory };
    const camera = ['--camera', `scene=${await demoSceneClip()}`, '--until-end'];
    const ended = await runSightline(['run', ...place, ...camera], environment);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stderr).toContain('yolox-nano is not on this machine, so the bundled sightline-nano runs');

    const records = await readDetections(run.results);
    expect(records).toHaveLength(sceneFramesAtFiveFps);
    const found = { person: 0, car: 0 };
    for (const { header, objects } of records) {
      const progress = (header.frame_seq * 2) / demoScene.frames;
      const walkerX = (60 + progress * 430) / demoScene.widthPx;
      const carX = (-220 + progress * 1080 + 95) / demoScene.widthPx;
      const isAt = (name: string, x: number) =>
        objects.some(({ class_name: label, bbox }) => label === name && bbox.x <= x && x <= bbox.x + bbox.width);
      if (isAt('person', walkerX)) found.person += 1;
      if (isAt('car', carX)) found.car += 1;
    }
    expect(found.person).toBeGreaterThan(100);
    expect(found.car).toBeGreaterThan(50);
  });
});
