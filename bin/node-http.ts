// One GET to a node's HTTP, for JSON.
import { get } from 'node:http'

const answerBytesMax = 4_194_304

/** The parsed JSON of the answer, whatever its status. Rejects where there is none within the time. */
export function getJson(endpoint: string, path: string, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = get(`http://${endpoint}${path}`, { agent: false, timeout: timeoutMs }, response => {
      const parts: Buffer[] = []
      let length = 0
      response.on('data', (part: Buffer) => {
        length += part.length
        if (length > answerBytesMax) response.destroy(new Error('the answer is too long'))
        else parts.push(part)
      })
      response.on('error', reject)
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(parts).toString()))
        } catch {
          reject(new Error(`${endpoint} does not answer as a stretto node`))
        }
      })
    })
    const deadline = setTimeout(() => request.destroy(new Error('no answer in time')), timeoutMs)
    request.on('close', () => clearTimeout(deadline))
    request.on('error', reject)
  })
}
