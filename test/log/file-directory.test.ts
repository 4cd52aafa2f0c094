// Folders on a real disk: made for their owner only, listed in order, removed with all that is in them.
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t } from 'tap'
import { FileDirectory, makeFolder } from '../../lib/log/file-directory.ts'
import { call } from '../help/log-blocks.ts'
import { temporaryFolder } from '../help/log-life.ts'

t.test('makes, lists and removes', async t => {
  const { folder, remove } = temporaryFolder()
  t.teardown(remove)
  const path = join(folder, 'a', 'b')
  await call<void>(done => makeFolder(path, done))
  await call<void>(done => makeFolder(path, done))
  t.equal(statSync(path).mode & 0o777, 0o700)
  const directory = new FileDirectory(path)
  for (const name of ['state-2', 'state-1', 'state-2']) await call<void>(done => directory.create(name, done))
  t.equal(statSync(join(path, 'state-1')).mode & 0o777, 0o700)
  mkdirSync(join(path, 'state-1', 'deep'))
  writeFileSync(join(path, 'state-1', 'deep', 'file'), 'x')
  t.same(await call<readonly string[]>(done => directory.list(done)), ['state-1', 'state-2'])
  await call<void>(done => directory.remove('state-1', done))
  await call<void>(done => directory.remove('state-1', done))
  t.same(await call<readonly string[]>(done => directory.list(done)), ['state-2'])
})

t.test('says what is wrong', async t => {
  const { folder, remove } = temporaryFolder()
  t.teardown(remove)
  writeFileSync(join(folder, 'file'), '')
  const nowhere = new FileDirectory(join(folder, 'none'))
  await t.rejects(
    call<readonly string[]>(done => nowhere.list(done)),
    { code: 'ENOENT' }
  )
  await t.rejects(
    call<void>(done => nowhere.create('state-1', done)),
    { code: 'ENOENT' }
  )
  await t.rejects(
    call<void>(done => makeFolder(join(folder, 'file', 'x'), done)),
    { code: 'ENOTDIR' }
  )
})
