import type { Service } from '#shared/core/service';
import { createLogger } from '#shared/runtime/logger';
import { runService } from '#shared/runtime/run-service';

/** A service in a process of its own, for tests of its life; the first argument says how it behaves. */
const behaviour = process.argv[2];

const never = new Promise<never>(() => {});

const service: Service = {
  name: 'scripted',
  start: async () => {},
  finished:
    behaviour === 'finishes' ? Promise.resolve() : behaviour === 'fails' ? Promise.reject(new Error('broke')) : never,
  drain: async () => {
    process.stdout.write('draining\n');
    if (behaviour === 'drains for ever') await never;
  },
  close: async () => {
    process.stdout.write('closed\n');
  },
  readiness: () => ({ ready: true }),
};

const logger = await createLogger({ level: 'info', format: 'json' });
await runService(service, {
  logger,
  onState: (state) => {
    process.stdout.write(`${state}\n`);
    if (state === 'running' && behaviour === 'throws out of turn') {
      setImmediate(() => {
        throw new Error('nobody caught rtsp://admin:canary@10.0.0.9/');
      });
    }
  },
});
