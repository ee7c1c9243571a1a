/**
 * A program for browsers, with all that it imports, in one file. Needs the development dependencies: a compiled
 * server has the finished files.
 * @param entry the path of its first module
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
    // The licences of what is bundled.
    legalComments: 'eof',
    logLevel: 'silent',
  })
  return Buffer.from(outputFiles[0]!.contents)
}
