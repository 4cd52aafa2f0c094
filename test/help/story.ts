// Histories of one key, told line by line: who calls, and what each is told.
import { History, type Operation } from '../../lib/sim/history/history.ts'
import type { RegisterInput, RegisterOutput, Value } from '../../lib/sim/history/register-model.ts'

type Line =
  | readonly [process: number, f: 'get' | 'delete']
  | readonly [process: number, f: 'put', value: Value]
  | readonly [process: number, f: 'cas', expected: Value, value: Value]
  | readonly [process: number, end: 'ok', output?: Value]
  | readonly [process: number, end: 'fail' | 'info']

/** Each line is a call, or ends the open call of its process. Time is the number of the line. */
export function story(...lines: readonly Line[]): readonly Operation<RegisterInput, RegisterOutput>[] {
  const history = new History<RegisterInput, RegisterOutput>()
  const open = new Map<number, Operation<RegisterInput, RegisterOutput>>()
  lines.forEach((line, time) => {
    const [process, word] = line
    const operation = open.get(process)
    switch (word) {
      case 'ok':
        history.ok(operation!, line[2] ?? null, time)
        break
      case 'fail':
      case 'info':
        history[word](operation!, time)
        break
      default:
        open.set(process, history.invoke(process, inputOf(line), time))
    }
  })
  return history.operations
}

function inputOf(line: Line): RegisterInput {
  const key = 'k'
  switch (line[1]) {
    case 'put':
      return { f: 'put', key, value: line[2] }
    case 'cas':
      return { f: 'cas', key, expected: line[2], value: line[3] }
    case 'get':
    case 'delete':
      return { f: line[1], key }
    default:
      throw new Error(`${line[1]} is no call`)
  }
}
