import { payments } from './admin/payments'
import { explainFailure } from './failure'
import { printableLines } from './wording'

payments().then(({ text }) => process.stdout.write(`${printableLines(text)}\n`)).catch(explainFailure)
