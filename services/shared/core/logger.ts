/** The part of a logger that the code uses: facts in fields, static text last. Implemented by pino in runtime/. */
export interface Logger {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  child(bindings: Readonly<Record<string, string | number>>): Logger;
}
