import type { Service } from '#shared/core/service';

/** The same service, which also counts as finished once `end` resolves. */
export function withEarlierEnd(service: Service, end: Promise<void>): Service {
  return {
    name: service.name,
    start: () => service.start(),
    finished: Promise.race([service.finished, end]),
    drain: () => service.drain(),
    close: () => service.close(),
    readiness: () => service.readiness(),
  };
}

/** The same service, which also counts as finished `seconds` after it has started. Without a limit it is left as it is. */
export function withDuration(service: Service, seconds: number | undefined): Service {
  if (seconds === undefined) return service;
  const elapsed = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  return {
    ...withEarlierEnd(service, elapsed.promise),
    async start() {
      await service.start();
      timer = setTimeout(elapsed.resolve, seconds * 1000);
    },
    close() {
      clearTimeout(timer);
      return service.close();
    },
  };
}
