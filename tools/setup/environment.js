// In a terminal Jest sets FORCE_COLOR for its workers, and what the tests start would write in
// colour. It is taken away here, outside of the tests' sandbox: their own process.env is a copy,
// and children get the worker's.
delete process.env.FORCE_COLOR
module.exports = require('jest-environment-node').TestEnvironment
