/**
 * The health check of the container, without curl: exit 0 where the service answers on /healthz, or on the path that is given.
 * /readyz is 503 while Kafka or the registry is away; a container that waits for them is no reason to restart it.
 */
const port = process.env.SIGHTLINE_HTTP_PORT ?? '9100';
const path = process.argv[2] ?? '/healthz';
try {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(3_000) });
  if (!response.ok) process.stderr.write(`${path}: ${response.status} ${(await response.text()).slice(0, 500)}\n`);
  process.exit(response.ok ? 0 : 1);
} catch (error) {
  process.stderr.write(`${path}: ${error.cause?.code ?? error.message}\n`);
  process.exit(1);
}
