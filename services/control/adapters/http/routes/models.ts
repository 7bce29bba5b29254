import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { AppError } from '#shared/core/errors';
import { modelKey, type ModelRef, type RolloutCommand } from '#shared/core/rollout/rollout-state';
import { maySeeCamera, type AccessRule } from '../../../core/access.ts';
import {
  gateOf,
  rolloutView,
  stepView,
  versionViews,
  type RolloutView,
  type StepView,
} from '../../../core/model-views.ts';
import type { ModelCatalogue } from '../../../core/ports.ts';
import { callerOf, changeAll, read, type ApiPorts, type HttpApp } from '../app.ts';
import { PageQuery, problems, strict } from '../schemas/common.ts';
import * as schema from '../schemas/models.ts';

const look: AccessRule = { role: 'viewer', scope: 'none' };
const retire: AccessRule = { role: 'admin', scope: 'all' };

export function addModelRoutes(app: HttpApp, ports: ApiPorts): void {
  const tags = ['models'];

  function catalogue(): ModelCatalogue {
    if (ports.models !== null) return ports.models;
    throw new AppError('SIGHTLINE_NOT_FOUND', 'this process knows nothing of models');
  }

  function viewFor(request: FastifyRequest): Static<typeof schema.Rollout> {
    const { rollout } = catalogue();
    const caller = callerOf(request);
    const view: RolloutView = rolloutView(rollout.state(), rollout.report(), {
      cameras: ports.cameras.list().map(({ id }) => id),
      isVisible: (id) => maySeeCamera(caller, id),
    });
    return view as Static<typeof schema.Rollout>; // but for readonly the same
  }

  async function found(name: string, version: string): Promise<ModelRef> {
    const wanted = { name, version };
    const here = (await catalogue().list()).find((entry) => modelKey(entry) === modelKey(wanted));
    const known = here ?? catalogue().rollout.state().versions.get(modelKey(wanted))?.model;
    if (known === undefined) throw new AppError('SIGHTLINE_MODEL_NOT_FOUND', `there is no model ${modelKey(wanted)}`);
    return { name: known.name, version: known.version, digest: known.digest };
  }

  async function make(request: FastifyRequest, command: Omit<RolloutCommand, 'by'>) {
    const { name } = callerOf(request);
    const { rollout } = catalogue();
    const step = await rollout.execute({ ...command, by: name });
    request.auditTarget = modelKey(step.model).slice(0, 64);
    return { step: shownStep(stepView(step)), rollout: viewFor(request) };
  }

  app.get(
    '/models',
    {
      config: { access: look },
      schema: {
        tags,
        summary: 'Versions of models that are here, the active one first',
        response: { ...problems(404), 200: schema.ModelList },
      },
    },
    async () => {
      const models = catalogue();
      const { rollout } = models;
      const views = versionViews(await models.list(), rollout.state(), rollout.report());
      return { items: views.map((view) => ({ ...view, details: { ...view.details } })) };
    },
  );

  app.get(
    '/models/rollout',
    {
      config: { access: read },
      schema: {
        tags,
        summary: 'What is active, what is tried beside it, and how the two agree by class and camera',
        response: { ...problems(404), 200: schema.Rollout },
      },
    },
    async (request) => viewFor(request),
  );

  app.get(
    '/models/history',
    {
      config: { access: { role: 'viewer', scope: 'all' } },
      schema: {
        tags,
        summary: 'Every step: what, when, who and why; newest first',
        querystring: strict(PageQuery),
        response: { ...problems(404), 200: schema.StepPage },
      },
    },
    async (request) => {
      const { limit = 100, cursor } = request.query;
      if (cursor !== undefined && !/^\d{1,15}$/.test(cursor))
        throw new AppError('SIGHTLINE_REQUEST_INVALID', 'the cursor is not one that was given out');
      const before = cursor === undefined ? Infinity : Number(cursor);
      const steps = catalogue()
        .rollout.history()
        .filter(({ revision }) => revision < before)
        .reverse()
        .slice(0, limit);
      const last = steps.at(-1)?.revision ?? 1;
      return { items: steps.map((step) => shownStep(stepView(step))), next_cursor: last > 1 ? String(last) : null };
    },
  );

  app.get(
    '/models/:name/:version',
    {
      config: { access: { role: 'viewer', scope: 'all' } },
      schema: {
        tags,
        summary: 'One version and its history',
        params: schema.ModelParams,
        response: { ...problems(404), 200: schema.ModelDetails },
      },
    },
    async (request) => {
      const models = catalogue();
      const { rollout } = models;
      const key = modelKey(await found(request.params.name, request.params.version));
      const views = versionViews(await models.list(), rollout.state(), rollout.report());
      const model = views.find((view) => modelKey(view) === key);
      if (model === undefined) throw new AppError('SIGHTLINE_MODEL_NOT_FOUND', `there is no model ${key}`);
      const history = rollout.history().filter((step) => modelKey(step.model) === key);
      return {
        model: { ...model, details: { ...model.details } },
        history: history.reverse().map((step) => shownStep(stepView(step))),
      };
    },
  );

  const stepAnswers = { ...problems(404, 409, 413, 415, 422), 200: schema.StepAnswer };
  app.post(
    '/models/:name/:version/activate',
    {
      config: { access: changeAll, audit: 'model.activate' },
      schema: {
        tags,
        summary: 'Make a version the active one at once, without a gate',
        params: schema.ModelParams,
        body: schema.StepRequest,
        response: stepAnswers,
      },
    },
    async (request) => {
      const { name, version } = request.params;
      return make(request, { action: 'activate', model: await found(name, version), ...request.body });
    },
  );

  for (const [action, summary] of [
    ['shadow', 'Run a version beside the active one on a share of the cameras; its results have the role SHADOW'],
    ['canary', 'Put a version to work on a share of the cameras; it is rolled back by itself when it fails its gate'],
  ] as const) {
    app.post(
      `/models/:name/:version/${action}`,
      {
        config: { access: changeAll, audit: `model.${action}` },
        schema: { tags, summary, params: schema.ModelParams, body: schema.CandidateRequest, response: stepAnswers },
      },
      async (request) => {
        const { name, version } = request.params;
        const { gate, ...rest } = request.body;
        const model = await found(name, version);
        return make(request, { action, model, ...rest, ...(gate === undefined ? {} : { gate: gateOf(gate) }) });
      },
    );
  }

  app.post(
    '/models/:name/:version/retire',
    {
      config: { access: retire, audit: 'model.retire' },
      schema: {
        tags,
        summary: 'Take a version out of use for good',
        params: schema.ModelParams,
        body: schema.StepRequest,
        response: stepAnswers,
      },
    },
    async (request) => {
      const { name, version } = request.params;
      return make(request, { action: 'retire', model: await found(name, version), ...request.body });
    },
  );

  for (const [action, summary, named] of [
    [
      'promote',
      'Make the candidate the active model; its gate has to have passed',
      'Make this candidate the active model; refused where it is not the candidate any more',
    ],
    [
      'rollback',
      'Take the candidate away, or without one go back to the version before; refused after another rollback',
      'Take this version away, the candidate or else the active one; refused where it is gone already',
    ],
  ] as const) {
    app.post(
      `/models/:name/:version/${action}`,
      {
        config: { access: changeAll, audit: `model.${action}` },
        schema: {
          tags,
          summary: named,
          params: schema.ModelParams,
          body: schema.StepRequest,
          response: stepAnswers,
        },
      },
      async (request) => {
        const { name, version } = request.params;
        return make(request, { action, model: await found(name, version), ...request.body });
      },
    );
    app.post(
      `/models/${action}`,
      {
        config: { access: changeAll, audit: `model.${action}` },
        schema: { tags, summary, body: schema.StepRequest, response: stepAnswers },
      },
      async (request) => make(request, { action, ...request.body }),
    );
  }
}

function shownStep(view: StepView): Static<typeof schema.RolloutStep> {
  return view as Static<typeof schema.RolloutStep>; // but for readonly the same
}
