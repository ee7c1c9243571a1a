import { formatBytes, formatNumber } from '../../lib/format'
import { planPurge, purge as removePlanned, type PurgePlan } from '../../db/maintenance/purge'
import type { IdentityKey } from '../../contract/protocol'
import { ask, canAsk, type Progress } from '../terminal'
import { count, printable, time } from '../wording'
import { withDatabase, type Outcome } from './command'

export interface PurgeOptions {
  recipient?: IdentityKey
  box?: string
  /** A duration in milliseconds. */
  olderThan?: number
  yes?: boolean
  dryRun?: boolean
}

/** The arguments are invalid: the exit code is 2. */
export class WrongUsage extends Error {}

/** Removes messages, after the operator confirms the number. */
export async function purge(
  { recipient, box, olderThan, yes = false, dryRun = false }: PurgeOptions,
  progress: Progress,
): Promise<Outcome> {
  if (recipient === undefined && box === undefined && olderThan === undefined)
    throw new WrongUsage(
      'Say which messages: --recipient, --box, --older-than, or several of them.',
    )
  if (!yes && !dryRun && !canAsk())
    throw new WrongUsage(
      'There is no terminal for the question: ' +
        'add --yes to remove the messages, or --dry-run to count them.',
    )
  return await withDatabase(async ({ knex, name }) => {
    const filter = {
      recipient,
      messageBox: box,
      before: olderThan === undefined ? undefined : Date.now() - olderThan,
    }
    const plan = await planPurge(knex, filter, (looked) => {
      progress.show(`counting: ${count(looked, 'message')} looked at`)
    })
    progress.done()
    const answer = (removed: number, text: string, failed = false): Outcome => {
      return {
        json: {
          database: name,
          recipient,
          box,
          before: filter.before === undefined ? undefined : time(filter.before),
          messages: plan.messages,
          bytes: plan.bytes,
          removed,
        },
        text,
        failed,
      }
    }
    if (plan.messages === 0 || dryRun)
      return answer(0, `${describePlan(plan)} in ${name}. Nothing was removed.`)
    if (
      !yes &&
      !(await ask(`Remove ${describePlan(plan)} from ${name}? They cannot be brought back.`))
    )
      return answer(0, 'Nothing was removed.', true)
    const removed = await removePlanned(knex, plan, (done) => {
      progress.show(`removing: ${formatNumber(done)} of ${count(plan.messages, 'message')}`)
    })
    progress.done()
    const gone = plan.messages - removed
    const others =
      gone === 0 ? '' : ` ${count(gone, 'other was', 'others were')} acknowledged meanwhile.`
    const messages = count(removed, 'message was', 'messages were')
    return answer(removed, `${messages} removed from ${name}.${others}`)
  })
}

function describePlan({
  filter: { recipient, messageBox, before },
  messages,
  bytes,
}: PurgePlan): string {
  const where = recipient === undefined ? 'all boxes named' : 'the box'
  const which = [
    ...(recipient === undefined ? [] : [`of ${recipient}`]),
    ...(messageBox === undefined ? [] : [`in ${where} "${printable(messageBox)}"`]),
    ...(before === undefined ? [] : [`stored before ${time(before)!}`]),
  ]
  return `${count(messages, 'message')} ${which.join(', ')} (${formatBytes(bytes)} of bodies)`
}
