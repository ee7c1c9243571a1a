// Required by a server: prints the names of the loaded packages when it exits.
const PACKAGE = /.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/

process.on('exit', () => {
  const names = Object.keys(require.cache).flatMap((file) => PACKAGE.exec(file)?.[1] ?? [])
  process.stdout.write(`packages: ${JSON.stringify([...new Set(names)])}\n`)
})
