// What node runs before Azurite.
import { createRequire } from 'node:module'

// Its standard input is a pipe from us. However we end, SIGKILL included, the pipe closes, and the
// emulator stops as if asked to: with its data written.
process.stdin.resume().on('end', () => process.kill(process.pid, 'SIGTERM')).unref()

const require = createRequire(process.argv[1])

// It loads what would tell its makers of its use, told or not: half of its start, and 50 MB.
const telemetry = require.resolve('applicationinsights')
require.cache[telemetry] = { id: telemetry, filename: telemetry, loaded: true, exports: {} }

// Where a batch of documents is removed, its database makes all indexes of the collection anew: of all
// messages of all queues at each look at one of them, which removes what has expired: nothing, as a rule.
// A few are better taken out of the indexes one by one.
const { Collection } = require('lokijs')
const { removeBatchByPositions, removeBatch } = Collection.prototype
const FEW = 10

Collection.prototype.removeBatchByPositions = function (positions) {
  if (positions.length > FEW) removeBatchByPositions.call(this, positions)
  else for (const document of positions.map((position) => this.data[position])) this.remove(document)
}

Collection.prototype.removeBatch = function (batch) {
  if (batch.length > 0) removeBatch.call(this, batch)
}
