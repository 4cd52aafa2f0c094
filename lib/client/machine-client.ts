// A client of an application's own machine: commands are bytes, executed exactly once, and so are their answers.
import { StrettoError } from '../base/errors.ts'
import { recordBytesMax } from '../record/record.ts'
import { bytesAnswer } from './answers.ts'
import { checkNames, known, type WriteOptions } from './options.ts'
import { type ClientParts, SessionClient, type SessionOptions } from './session-client.ts'

/** What became of a command. */
export interface Proposed {
  /** Of the machine: one more for each command executed. */
  readonly revision: number
  /** What the machine answered; null for nothing, or for an answer that was too large to be kept for a retry. */
  readonly answer: Uint8Array | null
}

/** Room for the head of a record and the lengths in it. */
const commandBytesMax = recordBytesMax - 1024

export class MachineClient extends SessionClient {
  /** @throws StrettoError BAD_REQUEST */
  constructor(parts: ClientParts, endpoints: readonly string[], options: SessionOptions = {}) {
    super(parts, endpoints, options)
  }

  /** Has the machine execute `command`, once, on all nodes. Rejects with the code that the machine refused it with. */
  propose(command: Uint8Array, options?: WriteOptions): Promise<Proposed> {
    return this.attempt(() => {
      if (options !== undefined) checkNames(options, known.increment)
      if (command.length > commandBytesMax) {
        throw new StrettoError('TOO_LARGE', `a command above ${commandBytesMax} bytes`)
      }
      const writing = { read: bytesAnswer, corner: null, command, contentBytes: command.length }
      return this.sendWrite(writing, options)
    })
  }
}
