let readerHasGone = false;

/** Writes to standard output; false when the reader has gone, which is how `| head` ends a long output. */
export async function print(text: string): Promise<boolean> {
  const { stdout } = process;
  if (readerHasGone) return false;
  return new Promise((resolve) => {
    // A stream that fails says so twice: to the write and, where nobody listened, to the whole process.
    const onError = (): void => {
      readerHasGone = true;
    };
    stdout.once('error', onError);
    stdout.write(text, (error) => {
      if (error instanceof Error) {
        readerHasGone = true;
      } else {
        stdout.off('error', onError);
      }
      resolve(!readerHasGone);
    });
  });
}
