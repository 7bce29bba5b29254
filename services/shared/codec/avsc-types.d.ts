// The package's own entry for types alone, made for browsers: without its services and file readers it loads in half the time. It comes
// without declarations.
declare module 'avsc/etc/browser/avsc-types.js' {
  import type { Type } from 'avsc';

  const types: { readonly Type: typeof Type };
  export default types;
}
