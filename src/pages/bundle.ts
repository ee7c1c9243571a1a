/**
 * Bundles a module and its imports into one file for browsers. Needs the development dependencies;
 * a compiled server has the finished files.
 */
export async function bundle(entry: string): Promise<Buffer> {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    // Keep the licences of the bundled packages.
    legalComments: 'eof',
    logLevel: 'silent',
  })
  return Buffer.from(outputFiles[0]!.contents)
}
