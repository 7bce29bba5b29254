import type { Service } from '#shared/core/service';

/** The same service, which also counts as finished `seconds` after it has started. Without a limit it is left as it is. */
export function withDuration(service: Service, seconds: number | undefined): Service {
  if (seconds === undefined) return service;
  const elapsed = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  return {
    name: service.name,
    async start() {
      await service.start();
      timer = setTimeout(elapsed.resolve, seconds * 1000);
    },
    finished: Promise.race([service.finished, elapsed.promise]),
    drain: () => service.drain(),
    close() {
      clearTimeout(timer);
      return service.close();
    },
    readiness: () => service.readiness(),
  };
}
