// The options of a node: flags before environment before file, each checked, each fault told in one line.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { nodeLimits } from '../node/limits.ts'
import { defaultPriority } from '../node/succession.ts'
import type { NodeId } from '../raft/types.ts'
import { nodeIdPattern } from '../record/membership.ts'
import { priorityMax } from '../wire/peer.ts'
import { type Address, formatAddress, isLoopback, isWildcard, parseAddress } from './address.ts'
import { parseDuration } from './durations.ts'
import { nearestName } from './nearest.ts'
import { readPeerSecret } from './peer-secret.ts'
import { parseSize } from './sizes.ts'
import { faultText, UsageError } from './usage-error.ts'

/** What a node is started with; all of it checked. */
export interface ServerOptions {
  readonly id: NodeId
  readonly listen: Address
  /** `host:port` at which the other nodes and the clients reach this one. */
  readonly advertise: string
  /** Absolute. */
  readonly dataDir: string
  /** Node id -> `host:port`, this node included. */
  readonly cluster: ReadonlyMap<NodeId, string>
  /** `host:port` of nodes of a cluster that an empty node asks to be let into; empty for none. */
  readonly join: readonly string[]
  /** It asks for no vote. */
  readonly learner: boolean
  readonly peerSecret: Uint8Array | null
  readonly insecure: boolean
  /** For the state's table and cache in memory. */
  readonly memoryBytes: number
  /** What the log may grow to on disk before it is cut. */
  readonly logBytesMax: number
  /** Null: only the log bounds it. */
  readonly history: History | null
  /** Of the file that is given up when the disk is full; 0 for none, null for what fits the disk. */
  readonly ballastBytes: number | null
  /** Of the voters that could lead, one of the highest does. */
  readonly priority: number
  /** Names by which HTTP clients may call this node besides loopback and the advertised host, in lower case. */
  readonly hosts: readonly string[]
  /** Origins whose pages may use this node. */
  readonly origins: readonly string[]
  readonly logLevel: LogLevel
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export interface ServerOptionText {
  readonly name: string
  /** What stands for the value in the help; null for a switch. */
  readonly value: string | null
  readonly summary: string
}

/** The options of `stretto start`, as flags, as `STRETTO_...` and as keys of the file; `config` is no key of the file. */
export const serverOptionTexts: readonly ServerOptionText[] = [
  { name: 'id', value: 'ID', summary: 'name of this node (default: n1)' },
  {
    name: 'listen',
    value: 'ADDRESS',
    summary: 'where to listen (default: 127.0.0.1:7001, or its address in --cluster)'
  },
  {
    name: 'advertise',
    value: 'ADDRESS',
    summary: 'where others reach this node (default: as in --cluster, else --listen)'
  },
  { name: 'data-dir', value: 'DIR', summary: 'where its data live (default: ./stretto-data/ID)' },
  { name: 'cluster', value: 'LIST', summary: 'the founding nodes: n1=host:port,n2=host:port,...' },
  { name: 'join', value: 'LIST', summary: 'nodes of a running cluster that is to take this one in: host:port,...' },
  { name: 'learner', value: null, summary: 'with --join: follow, and never vote' },
  { name: 'peer-secret-file', value: 'FILE', summary: 'the secret that the nodes of a cluster share' },
  { name: 'insecure', value: null, summary: 'allow plaintext where other machines can reach it' },
  { name: 'memory', value: 'SIZE', summary: 'memory for recent writes and cached values (default: 256MiB)' },
  { name: 'log-max', value: 'SIZE', summary: 'what the log may grow to before it is compacted (default: 1GiB)' },
  { name: 'history', value: 'BOUNDS', summary: 'how much of the past is kept: an age, a size or both, as 1h,1GiB' },
  { name: 'ballast', value: 'SIZE', summary: 'room to be given up on a full disk, 0 for none (default: up to 64MiB)' },
  { name: 'priority', value: 'NUMBER', summary: 'how gladly it leads, 0 to 1000; the highest does (default: 100)' },
  { name: 'allow-host', value: 'NAMES', summary: 'further host names of this node, with commas between them' },
  { name: 'allow-origin', value: 'ORIGINS', summary: 'origins whose web pages may use this node' },
  { name: 'log-level', value: 'LEVEL', summary: 'debug, info, warn, error or silent (default: info)' },
  { name: 'config', value: 'FILE', summary: 'a YAML or JSON file with any of these options' }
]

/** What is older, or has more of the log after it, is let go of; null: that does not matter. */
export interface History {
  readonly ageMs: number | null
  readonly bytes: number | null
}

const reservedNames: ReadonlySet<string> = new Set(['tls-cert', 'tls-key', 'tls-ca', 'token-file'])

const memoryBytesDefault = 268_435_456
const memoryBytesMin = 16_777_216
const logBytesMin = 1_048_576
const configBytesMax = 1_048_576

export interface OptionSources {
  /** Only what was given on the command line, by option name. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** For relative paths. */
  readonly directory: string
}

/** @throws UsageError for the first fault found */
export async function readServerOptions(sources: OptionSources): Promise<ServerOptions> {
  const values = await gatherValues(sources)
  const cluster = parseCluster(values.get('cluster'))
  const id = readId(values, cluster)
  const listen = readListen(values.get('listen'), cluster?.get(id))
  const advertise = readAdvertise(values.get('advertise'), cluster?.get(id), listen)
  const join = readJoin(values.get('join'), advertise)
  const learner = readSwitch('learner', values.get('learner'))
  if (learner && join.length === 0) throw new UsageError('--learner says nothing without --join')
  const nodes = cluster ?? new Map(join.length === 0 ? [[id, advertise]] : [])
  const secretFile = values.get('peer-secret-file')
  const peerSecret = secretFile === undefined ? null : readPeerSecret(resolve(sources.directory, secretFile))
  const insecure = readSwitch('insecure', values.get('insecure'))
  if (!insecure) refuseExposure([formatAddress(listen), advertise, ...nodes.values(), ...join])
  const logLevel = values.get('log-level') ?? 'info'
  if (!isLogLevel(logLevel)) throw new UsageError(`--log-level '${logLevel}' is none of ${logLevels.join(', ')}`)
  return {
    id,
    listen,
    advertise,
    dataDir: resolve(sources.directory, values.get('data-dir') ?? `stretto-data/${id}`),
    cluster: nodes,
    join,
    learner,
    peerSecret,
    insecure,
    memoryBytes: readMemory(values.get('memory')),
    logBytesMax: readLogMax(values.get('log-max')),
    history: readHistory(values.get('history')),
    ballastBytes: readBallast(values.get('ballast')),
    priority: readPriority(values.get('priority')),
    hosts: list(values.get('allow-host')).map(readHostName),
    origins: list(values.get('allow-origin')).map(readOrigin),
    logLevel
  }
}

async function gatherValues({ flags, env, directory }: OptionSources): Promise<Map<string, string>> {
  const values = new Map<string, string>()
  const given = (name: string) => {
    const flag = flags[name]
    if (flag !== undefined) return String(flag)
    const variable = env[variableOf(name)]
    return variable === undefined || variable === '' ? undefined : variable
  }
  for (const name of reservedNames) if (given(name) !== undefined) throw reserved(`--${name}`)
  const file = given('config')
  if (file !== undefined)
    for (const [name, value] of await readConfig(resolve(directory, file))) values.set(name, value)
  for (const { name } of serverOptionTexts) {
    const value = given(name)
    if (value !== undefined) values.set(name, value)
  }
  return values
}

/** `data-dir` -> `STRETTO_DATA_DIR`. */
export function variableOf(name: string): string {
  return `STRETTO_${name.toUpperCase().replaceAll('-', '_')}`
}

async function readConfig(file: string): Promise<Map<string, string>> {
  const { parse } = await import('yaml')
  let document: unknown
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > configBytesMax) throw new Error(`it is larger than ${configBytesMax} bytes`)
    document = parse(text, { maxAliasCount: 10, logLevel: 'error' })
  } catch (error) {
    throw new UsageError(`the file ${file} cannot be read as YAML or JSON: ${faultText(error)}`)
  }
  if (document === null || document === undefined) return new Map()
  if (!isRecord(document)) throw new UsageError(`the file ${file} must hold keys and values, such as 'id: n1'`)
  const known = serverOptionTexts.map(option => option.name).filter(name => name !== 'config')
  const values = new Map<string, string>()
  for (const [key, value] of Object.entries(document)) {
    if (reservedNames.has(key)) throw reserved(`'${key}' in ${file}`)
    if (!known.includes(key)) {
      const near = nearestName(key, known)
      const hint = near === null ? `known are ${known.join(', ')}` : `did you mean '${near}'?`
      throw new UsageError(`the file ${file} has an unknown key '${key}': ${hint}`)
    }
    values.set(key, textOf(key, value, file))
  }
  return values
}

/** A value of the file as it would be written on the command line. */
function textOf(key: string, value: unknown, file: string): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && value.every(item => typeof item === 'string')) return value.join(',')
  if (key === 'cluster' && isRecord(value)) {
    return Object.entries(value)
      .map(([id, address]) => `${id}=${String(address)}`)
      .join(',')
  }
  throw new UsageError(`the file ${file} has a value for '${key}' that is no text`)
}

/** Node id -> address from `n1=host:port,n2=...`; null where nothing is given. */
function parseCluster(text: string | undefined): Map<NodeId, string> | null {
  if (text === undefined) return null
  const cluster = new Map<NodeId, string>()
  const addresses = new Set<string>()
  for (const item of list(text)) {
    const at = item.indexOf('=')
    if (at < 1)
      throw new UsageError(`'${item}' in --cluster is not of the form id=host:port, such as n1=127.0.0.1:7001`)
    const id = checkId(item.slice(0, at).trim())
    const address = parseAddress(item.slice(at + 1))
    if (address.port === 0) throw new UsageError(`'${item}' in --cluster needs a port other than 0`)
    if (isWildcard(address.host)) throw new UsageError(`'${item}' in --cluster names no place that others could dial`)
    if (cluster.has(id)) throw new UsageError(`--cluster names '${id}' twice`)
    const written = formatAddress(address)
    if (addresses.has(written)) throw new UsageError(`--cluster gives the address ${written} to two nodes`)
    addresses.add(written)
    cluster.set(id, written)
  }
  if (cluster.size === 0) throw new UsageError('--cluster is empty: write n1=host:port,n2=host:port,...')
  return cluster
}

function readId(values: ReadonlyMap<string, string>, cluster: ReadonlyMap<NodeId, string> | null): NodeId {
  const text = values.get('id')
  if (text === undefined && values.has('join')) {
    throw new UsageError('--join is given, but not as which node: add --id, with an id that no member has')
  }
  if (text === undefined && cluster !== null) {
    throw new UsageError(`--cluster is given, but not which of its nodes this is: add --id ${[...cluster.keys()][0]!}`)
  }
  const id = checkId(text ?? 'n1')
  if (cluster !== null && !cluster.has(id)) {
    const near = nearestName(id, cluster.keys())
    const hint = near === null ? '' : ` (did you mean '${near}'?)`
    throw new UsageError(`--id '${id}' is not in --cluster, which names ${[...cluster.keys()].join(', ')}${hint}`)
  }
  return id
}

function checkId(id: string): NodeId {
  if (nodeIdPattern.test(id)) return id
  const shown = JSON.stringify(id.length > 70 ? `${id.slice(0, 70)}...` : id)
  throw new UsageError(`${shown} is not a node id: use 1 to 63 of a-z, 0-9 and -, and begin with a letter or digit`)
}

function readListen(text: string | undefined, own: string | undefined): Address {
  return parseAddress(text ?? own ?? '127.0.0.1:7001')
}

function readAdvertise(text: string | undefined, own: string | undefined, listen: Address): string {
  if (text !== undefined) {
    const address = parseAddress(text)
    if (isWildcard(address.host)) throw new UsageError(`--advertise '${text}' names no place that others could dial`)
    const written = formatAddress(address)
    if (own !== undefined && own !== written) {
      throw new UsageError(
        `--advertise is ${written}, but --cluster says ${own} for this node: give both the same address`
      )
    }
    return written
  }
  if (own !== undefined) return own
  if (isWildcard(listen.host)) {
    throw new UsageError(
      '--listen takes every address of this machine: say by --advertise host:port which one others dial'
    )
  }
  return formatAddress(listen)
}

function readJoin(text: string | undefined, advertise: string): string[] {
  if (text === undefined) return []
  const addresses = list(text).map(item => {
    const address = parseAddress(item)
    if (address.port === 0 || isWildcard(address.host)) {
      throw new UsageError(`'${item}' in --join names no place that could be dialled`)
    }
    return formatAddress(address)
  })
  if (addresses.length === 0) throw new UsageError('--join is empty: write host:port of a node of the cluster')
  const others = addresses.filter(address => address !== advertise)
  if (others.length === 0) throw new UsageError(`--join names this node itself, ${advertise}: name one of the cluster`)
  return others
}

/** Nothing is encrypted yet, so whatever another machine can reach has to be asked for by name. */
function refuseExposure(addresses: readonly string[]): void {
  const open = addresses.find(address => !isLoopback(parseAddress(address).host))
  if (open === undefined) return
  throw new UsageError(
    `${open} can be reached from other machines, and stretto speaks plaintext: use a loopback address, or add --insecure on a network that you trust`
  )
}

function readMemory(text: string | undefined): number {
  if (text === undefined) return memoryBytesDefault
  const bytes = parseSize(text)
  if (bytes < memoryBytesMin) throw new UsageError(`--memory '${text}' is too little: give at least 16MiB`)
  return bytes
}

function readLogMax(text: string | undefined): number {
  if (text === undefined) return nodeLimits.logBytesMax
  const bytes = parseSize(text)
  if (bytes < logBytesMin) throw new UsageError(`--log-max '${text}' is too little: give at least 1MiB`)
  return bytes
}

function readHistory(text: string | undefined): History | null {
  if (text === undefined) return null
  const parts = list(text)
  const ages = parts.filter(part => /(?:\d|^)(?:ms|s|m|h|d)$/.test(part))
  const sizes = parts.filter(part => !ages.includes(part))
  if (parts.length === 0 || ages.length > 1 || sizes.length > 1) {
    throw new UsageError(`--history '${text}' is neither an age, a size nor one of each, such as 1h, 1GiB or 1h,1GiB`)
  }
  const ageMs = ages[0] === undefined ? null : parseDuration(ages[0])
  return { ageMs, bytes: sizes[0] === undefined ? null : parseSize(sizes[0]) }
}

function readBallast(text: string | undefined): number | null {
  if (text === undefined) return null
  return text.trim() === '0' ? 0 : parseSize(text)
}

function readPriority(text: string | undefined): number {
  if (text === undefined) return defaultPriority
  const priority = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (priority <= priorityMax) return priority
  throw new UsageError(`'${text}' for --priority is no whole number from 0 to ${priorityMax}`)
}

function readSwitch(name: string, text: string | undefined): boolean {
  if (text === undefined) return false
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw new UsageError(`'${text}' for ${name} is neither true nor false`)
}

function readHostName(text: string): string {
  return parseAddress(`${text}:0`).host.toLowerCase()
}

function readOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : 'null'
  if (origin === 'null' || origin !== text) {
    throw new UsageError(`'${text}' in --allow-origin is no origin: write scheme://host:port and nothing after it`)
  }
  return origin
}

function reserved(what: string): UsageError {
  return new UsageError(`${what} is kept for a later version and does nothing yet: leave it out`)
}

function list(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

function isLogLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
