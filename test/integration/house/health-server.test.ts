import { describe, expect, it, onTestFinished } from 'vitest';

import type { Logger } from '#shared/core/logger';
import { createMetricStore } from '#shared/core/metric-store';
import type { Readiness } from '#shared/core/service';
import { startHealthServer, type HealthServer } from '#shared/runtime/health-server';
import { createMetricsText } from '#shared/runtime/metrics';

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

async function start(readiness: () => Readiness = () => ({ ready: true }), port = 0): Promise<HealthServer> {
  const store = createMetricStore();
  store
    .counter({ name: 'sightline_frames_total', help: 'Frames.', labels: ['camera'] })
    .with({ camera: 'front' })
    .add(3);
  const server = await startHealthServer({ port, readiness, metricsText: createMetricsText(store), logger: silent });
  onTestFinished(() => server.close());
  return server;
}

describe('the health server', () => {
  it('answers that the process is up', async () => {
    const { url, port } = await start();
    expect(url).toBe(`http://127.0.0.1:${port}`);
    const response = await fetch(`${url}/healthz`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'up' }]);
  });

  it('says ready, and why not', async () => {
    let readiness: Readiness = { ready: false, reason: 'model is loading' };
    const { url } = await start(() => readiness);
    const before = await fetch(`${url}/readyz`);
    expect([before.status, await before.json()]).toEqual([503, { ready: false, reason: 'model is loading' }]);
    readiness = { ready: true };
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it('shows our numbers and those of the process to Prometheus', async () => {
    const { url } = await start();
    const response = await fetch(`${url}/metrics`);
    const text = await response.text();
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(text).toContain('# TYPE sightline_frames_total counter\nsightline_frames_total{camera="front"} 3\n');
    expect(text).toContain('process_resident_memory_bytes');
  });

  it('answers 404 elsewhere', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/etc/passwd`)).status).toBe(404);
  });

  it('says which port is taken', async () => {
    const { port } = await start();
    await expect(start(undefined, port)).rejects.toMatchObject({ code: 'SIGHTLINE_PORT_UNAVAILABLE' });
  });

  it('closes while a client keeps its connection, and twice', async () => {
    const server = await start();
    await (await fetch(`${server.url}/healthz`)).text();
    await Promise.all([server.close(), server.close()]);
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
  });
});
