// For "node -r": connects requests to Google to the server on the loopback at GOOGLE_PORT, over
// TLS.
const tls = require('node:tls')

const { connect } = tls
const port = Number(process.env.GOOGLE_PORT)

tls.connect = (options, ...rest) => {
  const toGoogle = typeof options.host === 'string' && options.host.endsWith('.googleapis.com')
  return connect.call(tls, toGoogle ? { ...options, host: '127.0.0.1', port } : options, ...rest)
}
