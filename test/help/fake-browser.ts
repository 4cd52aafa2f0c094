// As much of a browser as the trace page uses: elements that hold what they are given, and a canvas that notes its texts.
import type { Canvas, Page, PageElement, PageEvent, Pen } from '../../lib/sim/trace/view/dom.ts'

type Listener = (event: PageEvent) => void

export class FakeElement implements Canvas {
  readonly tagName: string
  readonly children: (FakeElement | string)[] = []
  readonly styles = new Map<string, string>()
  readonly attributes = new Map<string, string>()
  readonly listeners = new Map<string, Listener[]>()
  /** What was painted since the last time it was cleared. */
  texts: string[] = []
  strokes = 0
  className = ''
  title = ''
  hidden = false
  value = ''
  checked = false
  scrollTop = 0
  width = 0
  height = 0
  clientWidth = 1_000
  clientHeight = 600
  focused = false
  #text = ''

  constructor(name: string) {
    this.tagName = name.toUpperCase()
  }

  readonly style = { setProperty: (name: string, value: string): void => void this.styles.set(name, value) }

  get textContent(): string {
    return this.#text + this.children.map(child => (typeof child === 'string' ? child : child.textContent)).join(' ')
  }

  set textContent(text: string) {
    this.children.length = 0
    this.#text = text
  }

  append(...more: (PageElement | string)[]): void {
    this.children.push(...(more as (FakeElement | string)[]))
  }

  replaceChildren(...others: (PageElement | string)[]): void {
    this.#text = ''
    this.children.splice(0, this.children.length, ...(others as (FakeElement | string)[]))
  }

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value)
  }

  addEventListener(kind: string, listener: Listener): void {
    this.listeners.set(kind, [...(this.listeners.get(kind) ?? []), listener])
  }

  setPointerCapture(): void {}

  getBoundingClientRect(): { left: number; top: number; width: number; height: number } {
    return { left: 0, top: 0, width: this.clientWidth, height: this.clientHeight }
  }

  focus(): void {
    this.focused = true
  }

  getContext(): Pen {
    const own: Record<string, unknown> = {
      clearRect: () => {
        this.texts = []
        this.strokes = 0
      },
      fillText: (text: string) => void this.texts.push(text),
      measureText: (text: string) => ({ width: 6 * text.length }),
      stroke: () => void this.strokes++
    }
    return new Proxy(own, { get: (target, name) => target[String(name)] ?? (() => {}) }) as unknown as Pen
  }

  /** All elements below it with this name. */
  all(name: string): FakeElement[] {
    const below = this.children.filter(child => typeof child !== 'string')
    return below.flatMap(child => [...(child.tagName === name.toUpperCase() ? [child] : []), ...child.all(name)])
  }
}

/** A window whose document has an element for each id of a page. */
export class FakeBrowser {
  readonly elements = new Map<string, FakeElement>()
  readonly window: Page
  readonly #listeners = new Map<string, Listener[]>()
  #frames: (() => void)[] = []

  constructor(ids: Iterable<string>) {
    for (const id of ids) this.elements.set(id, new FakeElement(id))
    const root = new FakeElement('html')
    this.window = {
      devicePixelRatio: 2,
      document: {
        documentElement: root,
        getElementById: id => this.elements.get(id) ?? null,
        createElement: name => new FakeElement(name)
      },
      addEventListener: (kind, listener) =>
        void this.#listeners.set(kind, [...(this.#listeners.get(kind) ?? []), listener]),
      requestAnimationFrame: paint => this.#frames.push(paint),
      getComputedStyle: () => ({ getPropertyValue: name => ` ${name}` }),
      matchMedia: () => ({ addEventListener: () => {} })
    }
  }

  element(id: string): FakeElement {
    return this.elements.get(id)!
  }

  /** Lets happen what waits for the next frame. */
  frame(): void {
    for (const paint of this.#frames.splice(0)) paint()
  }

  /** An event on an element, or (null) a key on the window; then the frame in which its effects are seen. */
  tell(id: string | null, kind: string, event: Partial<PageEvent> = {}): void {
    const target = id === null ? null : this.element(id)
    const still = { deltaX: 0, deltaY: 0, button: 0, pointerId: 1, clientX: 0, clientY: 0, key: '' }
    const keys = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false }
    const whole: PageEvent = { ...still, ...keys, target, preventDefault: () => {}, ...event }
    const listeners = target === null ? this.#listeners : target.listeners
    for (const listener of listeners.get(kind) ?? []) listener(whole)
    this.frame()
  }
}
