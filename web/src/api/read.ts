/** Readers of JSON from outside: what is absent or of another type is undefined, never a surprise further in. */
export type Json = Readonly<Record<string, unknown>>;

export function record(value: unknown): Json {
  // Every JSON object is a record of unknown values.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** A time as milliseconds: the API gives ISO text, records of topics give microseconds since 1970. */
export function time(value: unknown): number | undefined {
  if (typeof value === 'string') {
    const parsed = Date.parse(value);
    return Number.isNaN(parsed) ? undefined : parsed;
  }
  const given = number(value);
  if (given === undefined || given <= 0) return undefined;
  return given > 1e14 ? given / 1000 : given;
}

export function numbers(value: unknown): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(record(value)).flatMap(([name, one]) => {
      const found = number(one);
      return found === undefined ? [] : [[name, found]];
    }),
  );
}
