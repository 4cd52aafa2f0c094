// The net of the interleavings does what every net must do, in an order that a scheduler has chosen.
import { t } from 'tap'
import { Arrivals } from '../help/arrivals.ts'
import { schedulerOf } from '../help/before-tap.ts'
import { ScheduledNet } from '../help/scheduled-net.ts'
import { type NetRig, netSuite } from '../suite/net.ts'

async function rig(): Promise<NetRig> {
  const arrivals = new Arrivals(schedulerOf(1), 100)
  const net = new ScheduledNet(arrivals)
  return {
    listening: net,
    dialling: net,
    listenAt: 'server:7000/v1',
    dialAt: port => `server:${port}/v1`,
    freeze: () => net.freeze(1000),
    thaw: () => net.thaw(),
    until: condition => arrivals.until(condition, 60_000),
    end: async () => {}
  }
}

netSuite(t, 'ScheduledNet', rig)
