import { migrate } from './admin/migrate'
import { explainFailure } from './failure'
import { createProgress } from './terminal'

migrate(createProgress({ quiet: false })).then(({ text }) => process.stdout.write(`${text}\n`)).catch(explainFailure)
