// The looks of the trace page, light and dark; the canvases take their colours from here as well.

const light = `color-scheme: light; --ground: #f6f5f1; --card: #fff; --ink: #1d1f24; --quiet: #6b7078; --line: #e6e4dd;
  --accent: #2f5fd0; --leader: #2f5fd0; --candidate: #c96a00; --pre-candidate: #bf8a24; --follower: #9aa0a9; --learner: #b9bdc4;
  --vote: #c2660a; --append: #3b68d1; --heartbeat: #a3b6e0; --read: #0b8585; --snapshot: #a3389c; --other: #7a7f88;
  --drop: #cc2f1f; --commit: #177a50; --ok: #177a50; --fail: #8a5a1c; --info: #b4730a; --process: #cc2f1f; --clock: #0b8585;
  --disk: #96641b; --network: #7a4fc4`

const dark = `color-scheme: dark; --ground: #14161a; --card: #1b1e24; --ink: #e8e8e4; --quiet: #979ca6; --line: #2b2f37;
  --accent: #85a9ff; --leader: #7ea3ff; --candidate: #f2a33c; --pre-candidate: #b98a45; --follower: #6d747f; --learner: #565c66;
  --vote: #f0a54a; --append: #7a9cf5; --heartbeat: #4d5f8f; --read: #45c4c4; --snapshot: #e07fd8; --other: #8f959f;
  --drop: #ff6b5c; --commit: #4fcf92; --ok: #4fcf92; --fail: #d6a35c; --info: #f0b04a; --process: #ff6b5c; --clock: #45c4c4;
  --disk: #d6a35c; --network: #b795f5`

export const traceStyle = `
:root { ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
* { box-sizing: border-box }
html, body { height: 100% }
body { margin: 0; background: var(--ground); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; display: flex;
  flex-direction: column; gap: .6rem; padding: .8rem 1rem }
h1 { margin: 0; font-size: 1.25rem; letter-spacing: -.01em }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1.1rem }
.badge { padding: .05rem .6rem; border-radius: 1rem; border: 1px solid currentColor; font-size: .82rem; font-weight: 600 }
.bad { color: var(--drop) } .good { color: var(--ok) }
.quiet, .facts dt { color: var(--quiet) }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: 0; font-size: .88rem }
.facts div { display: flex; gap: .4rem } .facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
header p { margin: 0; flex-basis: 100% }
code { font: .92em ui-monospace, monospace; user-select: all; background: var(--card); border: 1px solid var(--line);
  border-radius: .3rem; padding: .05rem .4rem; overflow-wrap: anywhere }
.notice { border-left: 3px solid var(--info); padding-left: .6rem; font-size: .88rem }
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem .8rem; font-size: .88rem }
.tools > div { display: flex; flex-wrap: wrap; gap: .3rem }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .15rem .6rem; cursor: pointer }
button:hover { border-color: var(--quiet) }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }
.toggle { display: inline-flex; align-items: center; gap: .3rem; padding: .12rem .55rem; border: 1px solid var(--line);
  border-radius: 1rem; background: var(--card); cursor: pointer; white-space: nowrap }
.toggle input { margin: 0; accent-color: var(--own, var(--quiet)) }
.vote { --own: var(--vote) } .append { --own: var(--append) } .heartbeat { --own: var(--heartbeat) }
.read { --own: var(--read) } .snapshot { --own: var(--snapshot) } .other { --own: var(--other) }
.drop, .violation { --own: var(--drop) } .commit, .ok { --own: var(--ok) } .fault { --own: var(--network) }
.fail { --own: var(--fail) } .info { --own: var(--info) } .leader { --own: var(--leader) }
.candidate { --own: var(--candidate) } .pre-candidate { --own: var(--pre-candidate) } .follower { --own: var(--quiet) }
main { flex: 1; min-height: 26rem; display: grid; grid-template-columns: minmax(0, 1fr) minmax(20rem, 35%); gap: .8rem }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; min-height: 0;
  display: flex; flex-direction: column }
#scroll { flex: 1; overflow: hidden auto; min-height: 0; scrollbar-gutter: stable } #frame { position: relative }
canvas { display: block; width: 100%; height: 100% } #frame canvas { position: absolute; inset: 0 }
#overlay { cursor: crosshair; touch-action: none; outline-offset: -2px } #overlay:active { cursor: grabbing }
.map { height: 46px; border-bottom: 1px solid var(--line); cursor: ew-resize; flex: none; touch-action: none }
.seek { display: flex; align-items: center; gap: .6rem; padding: .45rem .6rem; border-bottom: 1px solid var(--line) }
.seek input { flex: 1; min-width: 0; font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line);
  border-radius: .4rem; padding: .2rem .5rem }
#found { color: var(--quiet); font-size: .82rem; white-space: nowrap }
#list { flex: 1; min-height: 6rem; overflow: hidden auto; position: relative; cursor: pointer }
#rows { position: absolute; inset: 0 0 auto; font: 12px/21px ui-monospace, monospace }
.row { display: flex; gap: .7ch; height: 21px; white-space: nowrap; overflow: hidden; padding-right: .4rem;
  border-left: 3px solid var(--own, transparent); opacity: .62 }
.row.in-view { opacity: 1 } .row.hovered { background: var(--ground) }
.row.pinned { background: color-mix(in srgb, var(--accent) 18%, var(--card)) }
.row .time { color: var(--quiet); min-width: 10ch; text-align: right } .row .lane { min-width: 3ch; font-weight: 600 }
.row .verb { color: var(--own, inherit); min-width: 9ch } .row.violation { font-weight: 700 }
.row .what { overflow: hidden; text-overflow: ellipsis }
#detail { flex: none; max-height: 45%; overflow: auto; padding: .6rem .8rem; border-top: 1px solid var(--line) }
#detail:empty::before { content: 'Point at anything to see what it is; click to keep it here.'; color: var(--quiet) }
#detail h2, #tip h2 { margin: 0 0 .35rem; font: 600 12.5px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
#detail dl, #tip dl { display: grid; grid-template-columns: auto 1fr; gap: .05rem .8rem; margin: 0; font-size: .85rem }
#detail dt, #tip dt { color: var(--quiet); white-space: nowrap }
#detail dd, #tip dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
#tip { position: fixed; z-index: 2; inset: 0 auto auto 0; max-width: 34rem; padding: .5rem .7rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; box-shadow: 0 4px 16px rgb(0 0 0 / .22); pointer-events: none }
#tip[hidden], button[hidden] { display: none }
details { font-size: .88rem } summary { cursor: pointer; color: var(--quiet) } kbd { font: .9em ui-monospace, monospace }
details p { margin: .2rem 0 0 }
@media (max-width: 60rem) { body { height: auto } main { grid-template-columns: minmax(0, 1fr); grid-template-rows: 34rem 34rem } }`
