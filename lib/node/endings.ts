// What callers are told when a life of the node ends, or where it cannot serve.
import { StrettoError } from '../base/errors.ts'
import { refusal } from './result.ts'

export const stopped = new StrettoError('STOPPED', 'the node has stopped')
export const stoppedRefusal = refusal('STOPPED', 'unknown', stopped.message)
export const failedRefusal = refusal('UNAVAILABLE', 'unknown', 'the node failed before the request was answered', 0)
export const snapshotRefusal = refusal('UNAVAILABLE', 'unknown', 'the node takes up a snapshot of its leader', 0)
export const hollowError = new StrettoError('UNAVAILABLE', 'the state of this node is being brought by its leader', {
  retryAfterMs: 500
})
