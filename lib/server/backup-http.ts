// GET /snapshot: a backup of the cluster as a file, at the pace of the node and no faster than it is taken.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { StrettoError } from '../base/errors.ts'
import type { OpenBackup } from './backup.ts'

/** Each pins what the node would else let go of. */
const atOnceMax = 2

/** `open` begins a backup; null while the node is still starting. */
export type BackupDoor = () => Promise<OpenBackup> | null

type Refuse = (response: ServerResponse, status: number, body: object) => void

/** Answers GET alone. `refuse` sends a status and a body as JSON. */
export function createBackupHttp(open: BackupDoor, refuse: Refuse) {
  let atOnce = 0
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== 'GET') {
      response.setHeader('allow', 'GET')
      return refuse(response, 405, { error: 'only GET is served here' })
    }
    if (atOnce >= atOnceMax) return refuse(response, 503, { error: 'backups are being read from this node already' })
    atOnce++
    try {
      const opening = open()
      if (opening === null) return refuse(response, 503, { error: 'this node is still starting' })
      const backup = await opening
      try {
        await send(response, backup)
      } finally {
        backup.close()
      }
    } catch (error) {
      if (response.headersSent) response.destroy()
      else if (error instanceof StrettoError)
        refuse(response, statusOf(error), { error: error.message, code: error.code })
      else refuse(response, 500, { error: 'this node could not answer' })
    } finally {
      atOnce--
    }
  }
}

function statusOf({ code }: StrettoError): number {
  return code === 'BAD_REQUEST' ? 400 : code === 'TIMED_OUT' ? 504 : code === 'CORRUPT' ? 500 : 503
}

/** Ends early where whoever asked is gone: a file that is cut short is known by its length. */
async function send(response: ServerResponse, backup: OpenBackup): Promise<void> {
  response.statusCode = 200
  response.setHeader('content-type', 'application/octet-stream')
  response.setHeader('content-length', backup.size)
  await pipeline(backup.pieces(), response)
}
