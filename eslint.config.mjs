import importX from 'eslint-plugin-import-x'
import { readdirSync } from 'node:fs'
import tseslint from 'typescript-eslint'

/** The rooms, the lowest first. A room imports from lower floors only. */
const FLOORS = [
  ['lib'],
  ['contract'],
  ['config'],
  ['metrics', 'fanout', 'logger.ts'],
  ['limits'],
  ['http', 'spv'],
  ['auth', 'db'],
  ['sharing'],
  ['permissions'],
  ['payments'],
  ['mailbox.ts'],
  ['push'],
  ['routes', 'ws', 'tracing'],
  ['workers'],
  ['operator', 'overlay'],
  ['openapi'],
  ['pages'],
  ['context.ts'],
  ['app.ts'],
  ['server.ts'],
  ['cli'],
  ['main.ts'],
]

const unlisted = readdirSync(new URL('src/', import.meta.url)).filter(
  (name) => !FLOORS.flat().includes(name),
)
if (unlisted.length > 0) throw new Error(`FLOORS in eslint.config.mjs lacks ${unlisted.join(', ')}`)

const ARROWS = FLOORS.flatMap((rooms, floor) =>
  rooms.map((room) => ({
    target: `./src/${room}`,
    from: [...rooms.filter((other) => other !== room), ...FLOORS.slice(floor + 1).flat()].map(
      (other) => `./src/${other}`,
    ),
  })),
).filter(({ from }) => from.length > 0)

/** The folders beside src: tests and bench share what is in tools, and do not import each other. */
const OUTSIDE = [
  { target: './src', from: ['./tests', './bench', './tools'] },
  { target: './src', from: './scripts', except: ['./check-node.js'] },
  { target: './migrations', from: ['./tests', './bench', './tools', './scripts'] },
  { target: './tools', from: ['./tests', './bench', './scripts'] },
  { target: './tests', from: ['./bench'] },
  { target: './bench', from: ['./tests'] },
  { target: './scripts', from: ['./tests', './bench'] },
]

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'data/'] },
  ...tseslint.configs.recommended,
  {
    plugins: { 'import-x': importX },
    settings: {
      'import-x/extensions': ['.ts', '.js'],
      'import-x/resolver': { node: { extensions: ['.ts', '.js'] } },
    },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones: [...ARROWS, ...OUTSIDE] }],
      'import-x/no-cycle': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: 'error',
      'max-len': ['error', { code: 100, ignoreUrls: true }],
      'no-console': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts', 'src/cli/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'Only main.ts and src/cli may read the environment.',
        },
      ],
    },
  },
  {
    files: [
      'src/app.ts',
      'src/auth/serverKey.ts',
      'src/logger.ts',
      'src/tracing/index.ts',
      'src/push/index.ts',
      'src/payments/moneyWallet.ts',
      'src/overlay/ownTokens.ts',
      'src/db/engine/sqliteDriver.ts',
      'src/context.ts',
      'src/main.ts',
      'src/server.ts',
      'src/sharing/index.ts',
      'src/cli/admin/program.ts',
      'tools/clients/clients.ts',
      '**/*.js',
    ],
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
  {
    // Tests hold raw requests, programs for other processes, and long patterns.
    files: ['tests/**'],
    rules: {
      'max-len': [
        'error',
        {
          code: 100,
          ignoreUrls: true,
          ignoreStrings: true,
          ignoreTemplateLiterals: true,
          ignoreRegExpLiterals: true,
        },
      ],
    },
  },
  { files: ['web/*.js'], languageOptions: { sourceType: 'module' } },
  {
    files: ['scripts/**', 'bench/**', 'tools/*/run.ts', 'tools/clients/hush.ts'],
    rules: { 'no-console': 'off' },
  },
)
