// How far a long command has come: a bar on a terminal, lines elsewhere; both on stderr, so that stdout holds results only.

export interface Progress {
  readonly show: (done: number, total: number, what: string) => void
  readonly stop: () => void
}

/** `linesMax`: elsewhere than on a terminal, about so many lines of all that is shown. */
export async function createProgress(linesMax = Number.POSITIVE_INFINITY): Promise<Progress> {
  return process.stderr.isTTY ? createBar() : createLines(linesMax)
}

function createLines(linesMax: number): Progress {
  let told = -1
  const show = (done: number, total: number, what: string): void => {
    const share = Math.floor((done / total) * linesMax)
    if (share === told && done < total) return
    told = share
    process.stderr.write(`${done}/${total} ${what}\n`)
  }
  return { show, stop: () => {} }
}

async function createBar(): Promise<Progress> {
  const { SingleBar, Presets } = await import('cli-progress')
  const bar = new SingleBar(
    { format: '{bar} {value}/{total} {what}', stream: process.stderr, hideCursor: true },
    Presets.shades_classic
  )
  let started = false
  return {
    show: (done, total, what) => {
      if (started) bar.update(done, { what })
      else bar.start(total, done, { what })
      started = true
    },
    stop: () => {
      if (started) bar.stop()
      started = false
    }
  }
}
