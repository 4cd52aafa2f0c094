// The commands that look for what they need themselves, step by step; what they change is stored when all is done.
import type { Packed } from '../record/pack.ts'
import type { Command } from '../wire/kv/commands.ts'
import { append, deleteRange } from './changing.ts'
import { expire, grant, renew, revoke } from './leases/lease-steps.ts'
import { Refused, type Staging, type Steps } from './staging.ts'
import { transact } from './transaction.ts'

/** What an expiry record asks for. */
export interface ExpireCommand {
  readonly op: 'expire'
}

/** Gives the answer. @throws Refused, where it is not executed; StrettoError, where the state cannot be read */
export function* stepsOf(command: Command | ExpireCommand, staging: Staging): Steps<Packed> {
  switch (command.op) {
    case 'append':
      staging.namesItsKey = true
      return [yield* append(command, staging)]
    case 'deleteRange':
      return [yield* deleteRange(command, staging)]
    case 'txn':
      return yield* transact(command, staging)
    case 'compact':
      return staging.compact(command.revision)
    case 'grant':
      return grant(command, staging)
    case 'renew':
      return renew(command, staging)
    case 'revoke':
      return yield* revoke(command, staging)
    case 'expire':
      return yield* expire(staging)
    default:
      throw new Refused('BAD_REQUEST')
  }
}
