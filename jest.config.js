/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/tools/setup/environment.js',
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  testSequencer: '<rootDir>/tools/setup/sequencer.js',
  globalSetup: '<rootDir>/tools/setup/globalSetup.ts',
  globalTeardown: '<rootDir>/tools/setup/globalTeardown.ts',
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  testTimeout: 60_000,
  maxWorkers: 2,
}
