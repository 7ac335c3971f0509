import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'

/** The fields that are used here. Others are ignored, and any word may be a status. */
export interface PaymentEvent {
  event_id: string
  sequence: number
  merchant: string
  order_id: string | null
  order_role?: string
  status: string
  fulfilment: string
  paid: { value: number; currency: string } | null
}

/** What was done, in files that can be made only once: a stand-in for rows with a unique key in your database. */
export class Effects {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** What to do with the goods. They leave once per order, unless the payment is for a part of it or a repeat. */
  decide(event: PaymentEvent, payment: string): string {
    const whole = (event.order_role ?? 'whole') === 'whole' && event.order_id !== null
    const goods = this.#path('goods', whole ? `${event.merchant}/order/${event.order_id}` : payment)
    const me = `${payment} ${event.sequence}`
    switch (event.fulfilment) {
      case 'release':
        return this.#once(goods, me) === me ? 'send' : 'nothing'
      case 'stop':
        return existsSync(goods) && readFileSync(goods, 'utf8').startsWith(`${payment} `) ? 'recall' : 'keep'
      default: // hold, and words of later releases
        return 'wait'
    }
  }

  /** The newest event of the payment that was applied, by sequence. */
  last(payment: string): number {
    const folder = this.#path('payments', payment)
    return existsSync(folder) ? Math.max(0, ...readdirSync(folder).map(Number)) : 0
  }

  add(payment: string, sequence: number, effect: object): void {
    this.#once(join(this.#path('payments', payment), String(sequence)), JSON.stringify(effect))
  }

  #path(kind: string, name: string): string {
    return join(this.#folder, kind, encodeURIComponent(name))
  }

  /** Write the file whole or not at all, unless it is there; returns what it then says. */
  #once(file: string, text: string): string {
    mkdirSync(dirname(file), { recursive: true })
    const written = join(this.#folder, `written-${randomUUID()}`)
    writeFileSync(written, text, { flush: true })
    try {
      linkSync(written, file)
      return text
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      return readFileSync(file, 'utf8')
    } finally {
      rmSync(written)
    }
  }
}
