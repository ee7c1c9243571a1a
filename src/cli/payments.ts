import { payments } from './admin/payments'
import { explainFailure } from './failure'

payments().then(({ text }) => process.stdout.write(`${text}\n`)).catch(explainFailure)
