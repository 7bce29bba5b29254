/** Gives a number where its function has one to give. */
export type Kernel = (...facts: number[]) => number | undefined;

export interface KernelMemory {
  readonly buffer: ArrayBuffer;
}

/** The little of it that is used here; the types come with a browser's, which the services are not. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (options: { initial: number }) => KernelMemory;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, Kernel>> };
};

const pageBytes = 65_536;

/** Loads a kernel that has one function and works on memory of so many bytes, which is its own. */
export function loadKernel(
  base64: string,
  name: string,
  bytes: number,
): { readonly run: Kernel; readonly memory: KernelMemory } {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / pageBytes) });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, 'base64')), {
    env: { memory },
  });
  const run = exports[name];
  if (run === undefined) throw new Error(`a kernel without ${name}`);
  return { run, memory };
}
