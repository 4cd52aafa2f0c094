// A frame between nodes as a trace tells it: the envelope in it, or a line about anything else.
import { unreachable } from '../../base/assert.ts'
import { describeLogId, describeMember, describeMembership } from '../../raft/describe.ts'
import type { Envelope } from '../../raft/message.ts'
import { type PeerFrame, readPeerFrame } from '../../wire/peer.ts'

/** Bytes that are no frame are told as such: a damaged or foreign frame is a thing to see, not a fault of the trace. */
export function readTracedFrame(bytes: Uint8Array): Envelope | string {
  let frame: PeerFrame
  try {
    frame = readPeerFrame(bytes)
  } catch (error) {
    return `${bytes.length} bytes that are no frame: ${(error as Error).message}`
  }
  return frame.kind === 'envelope' ? frame.envelope : describeFrame(frame)
}

function describeFrame(frame: Exclude<PeerFrame, { readonly kind: 'envelope' }>): string {
  switch (frame.kind) {
    case 'hello':
      return `hello to ${describeMember(frame.hello.to)} boot=${frame.hello.boot}`
    case 'proof':
      return 'proof'
    case 'refusal':
      return `refusal ${frame.refusal.code}: ${frame.refusal.text}`
    case 'request':
      return `request ${frame.number} of ${frame.bytes.length} bytes`
    case 'answer':
      return `answer ${frame.number} ${frame.error ?? 'done'} of ${frame.bytes.length} bytes`
    case 'tell':
      return `tell ${frame.tell.view.map(({ id }) => id).join(',')} of ${frame.tell.list.length}`
    case 'founded':
      return `founded ${describeMembership(frame.membership)}`
    case 'chunk': {
      const { number, last, offset, end, bytes } = frame.chunk
      return `chunk ${number} last=${describeLogId(last)} offset=${offset} of ${bytes.length} bytes${end ? ' end' : ''}`
    }
    default:
      return unreachable(frame)
  }
}
