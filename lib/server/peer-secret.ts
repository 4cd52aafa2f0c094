// The secret by which the nodes of one cluster know each other: a file that only its owner can read.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { faultCode, faultText, UsageError } from './usage-error.ts'

const secretBytesMin = 16
const secretBytesMax = 4_096

/**
 * The bytes of the file without the white space around them.
 * @throws UsageError where it cannot be read, is too short to be a secret, or where everybody on the machine can read it
 */
export function readPeerSecret(file: string): Uint8Array {
  const text = readSmallFile(file)
  const secret = Buffer.from(text.trim(), 'latin1')
  if (secret.length < secretBytesMin) {
    throw new UsageError(
      `the peer secret in ${file} is shorter than ${secretBytesMin} bytes: make one with 'openssl rand -hex 32'`
    )
  }
  return Uint8Array.from(secret)
}

function readSmallFile(file: string): string {
  try {
    const { mode, size } = statSync(file)
    if (size > secretBytesMax) throw new UsageError(`the peer secret in ${file} is larger than ${secretBytesMax} bytes`)
    if (process.platform !== 'win32' && (mode & 0o007) !== 0) {
      throw new UsageError(`everybody on this machine can read the peer secret in ${file}: chmod 600 ${file}`)
    }
    return readFileSync(file, 'latin1')
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`the peer secret cannot be read: ${faultText(error)}`)
  }
}

/** Makes the file with a new secret, mode 0600, unless it is there already. */
export function makePeerSecret(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  try {
    writeFileSync(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if (faultCode(error) !== 'EEXIST') throw error
  }
}
