// In a terminal, Jest sets FORCE_COLOR for its workers, and child processes of tests would write in
// colour. This module removes it. Tests cannot: their process.env is a copy, but child processes
// get the environment of the worker.
delete process.env.FORCE_COLOR
module.exports = require('jest-environment-node').TestEnvironment
