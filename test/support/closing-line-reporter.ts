import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends the run with one line that a person and a script both read: `12 passed, 0 failed` and, where there were any, `, 3 skipped`.
 * A file that could not be collected (a syntax error, a failing import) counts as one failed test, and so does an error outside any test.
 * A run without a single test is a failure: it means that the filter was wrong, not that all is well.
 */
export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'failed') failedHere += 1;
        else skipped += 1;
      }
      if (failedHere === 0 && module.state() === 'failed') failedHere = 1;
      failed += failedHere;
    }
    if (passed + failed === 0 || failed > 0) process.exitCode = 1;
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`;
    // The other reporters and vitest itself print while the run closes; this has to come after all of them.
    process.once('exit', () => process.stdout.write(line));
  }
}
