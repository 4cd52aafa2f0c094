// As much of a browser as the trace page uses, so that its code is checked without giving the whole tree a browser's globals.

export interface Pen {
  fillStyle: unknown
  strokeStyle: unknown
  lineWidth: number
  globalAlpha: number
  font: string
  textAlign: 'left' | 'right' | 'center'
  textBaseline: 'top' | 'middle' | 'bottom' | 'alphabetic'
  lineCap: 'butt' | 'round'
  beginPath(): void
  closePath(): void
  moveTo(x: number, y: number): void
  lineTo(x: number, y: number): void
  rect(x: number, y: number, width: number, height: number): void
  arc(x: number, y: number, radius: number, from: number, to: number): void
  stroke(): void
  fill(): void
  clip(): void
  save(): void
  restore(): void
  translate(x: number, y: number): void
  rotate(angle: number): void
  fillRect(x: number, y: number, width: number, height: number): void
  strokeRect(x: number, y: number, width: number, height: number): void
  clearRect(x: number, y: number, width: number, height: number): void
  fillText(text: string, x: number, y: number): void
  measureText(text: string): { readonly width: number }
  setLineDash(dashes: readonly number[]): void
  setTransform(a: number, b: number, c: number, d: number, e: number, f: number): void
}

export interface PageEvent {
  readonly key: string
  readonly clientX: number
  readonly clientY: number
  readonly deltaX: number
  readonly deltaY: number
  readonly button: number
  readonly pointerId: number
  readonly shiftKey: boolean
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly altKey: boolean
  readonly target: unknown
  preventDefault(): void
}

export type Listen = (kind: string, listener: (event: PageEvent) => void, options?: { passive: boolean }) => void

export interface PageElement {
  readonly tagName: string
  textContent: string
  className: string
  title: string
  hidden: boolean
  value: string
  checked: boolean
  scrollTop: number
  readonly clientHeight: number
  readonly clientWidth: number
  readonly style: { setProperty(name: string, value: string): void }
  append(...children: (PageElement | string)[]): void
  replaceChildren(...children: (PageElement | string)[]): void
  setAttribute(name: string, value: string): void
  addEventListener: Listen
  setPointerCapture(pointerId: number): void
  getBoundingClientRect(): {
    readonly left: number
    readonly top: number
    readonly width: number
    readonly height: number
  }
  focus(): void
}

export interface Canvas extends PageElement {
  width: number
  height: number
  getContext(kind: '2d'): Pen
}

export interface Page {
  readonly devicePixelRatio: number
  readonly document: {
    readonly documentElement: PageElement
    getElementById(id: string): PageElement | null
    createElement(name: string): PageElement
  }
  addEventListener: Listen
  requestAnimationFrame(paint: () => void): unknown
  getComputedStyle(element: PageElement): { getPropertyValue(name: string): string }
  matchMedia(query: string): { addEventListener: Listen }
}
