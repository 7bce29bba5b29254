import { defineConfig } from 'vitest/config';

const seconds = 1000;

/**
 * These start real servers, ffmpeg and models, and wait for them half of the time: after all others, and two files at once whatever the
 * number of cores, since more would starve each other on a machine of two.
 */
const withRealServers = { pool: 'forks', maxWorkers: 2, sequence: { groupOrder: 1 } } as const;

export default defineConfig({
  test: {
    reporters: [process.env['CI'] === undefined ? 'default' : 'dot', './test/support/closing-line-reporter.ts'],
    passWithNoTests: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 5 * seconds,
        },
      },
      {
        extends: true,
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          testTimeout: 20 * seconds,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: ['test/integration/kafka/**'],
          ...withRealServers,
          testTimeout: 60 * seconds,
          hookTimeout: 60 * seconds,
        },
      },
      {
        // One real broker for all files, started by the first project that needs it; files that end brokers start their own.
        extends: true,
        test: {
          name: 'kafka',
          include: ['test/integration/kafka/**/*.test.ts'],
          globalSetup: ['test/support/shared-kafka.ts'],
          ...withRealServers,
          testTimeout: 60 * seconds,
          hookTimeout: 60 * seconds,
        },
      },
      // Hours, not minutes: only where they are asked for, with SIGHTLINE_SOAK=1.
      ...(process.env['SIGHTLINE_SOAK'] === undefined
        ? []
        : [
            {
              extends: true as const,
              test: {
                name: 'soak',
                include: ['test/soak/**/*.test.ts'],
                pool: 'forks' as const,
                fileParallelism: false,
              },
            },
          ]),
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          ...withRealServers,
          testTimeout: 120 * seconds,
          hookTimeout: 120 * seconds,
        },
      },
    ],
  },
});
