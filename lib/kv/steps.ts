// The commands that look for what they need themselves, step by step; what they change is stored when all is done.
import type { Packed } from '../record/pack.ts'
import type { Command } from '../wire/kv/commands.ts'
import { append, deleteRange } from './changing.ts'
import { Refused, type Staging, type Steps } from './staging.ts'
import { transact } from './transaction.ts'

/** Gives the answer. @throws Refused, where it is not executed; StrettoError, where the state cannot be read */
export function* stepsOf(command: Command, staging: Staging): Steps<Packed> {
  switch (command.op) {
    case 'append':
      return [yield* append(command, staging)]
    case 'deleteRange':
      return [yield* deleteRange(command, staging)]
    case 'txn':
      return yield* transact(command, staging)
    default:
      throw new Refused('BAD_REQUEST')
  }
}
