// Reads payments.status from its start and decides about goods: each event once, across crashes. Free to copy.
import { Consumer, stringDeserializers } from '@platformatic/kafka'
import { Effects, type PaymentEvent } from './effects.ts'

interface Message {
  key: string
  value: string | undefined
  headers: Map<string, string>
  offset: bigint
}

const topic = process.env.TOPIC ?? 'payments.status'
const effects = new Effects(process.env.EFFECTS ?? 'effects')

const consumer = new Consumer({
  clientId: 'erp',
  groupId: process.env.GROUP ?? 'erp',
  bootstrapBrokers: (process.env.KAFKA ?? 'localhost:9092').split(','),
  deserializers: stringDeserializers,
  autocommit: false,
  // a fixed name: after a restart it goes on at once
  ...(process.env.INSTANCE ? { groupInstanceId: process.env.INSTANCE } : {}),
})
const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
process.once('SIGTERM', () => stream.close())
process.once('SIGINT', () => stream.close())

for await (const message of stream) {
  apply(message)
  await message.commit() // after the effect: a crash in between repeats records, it loses none
}
await consumer.close()
console.error('stopped')

function apply(message: Message): void {
  const payment = message.key // merchant/payment_id
  const type = message.headers.get('ce_type')
  if (!message.value) return console.error(`forgotten: ${payment}`) // a tombstone of payments.latest
  if (type !== 'payment.status.changed.v1') return console.error(`not for us: ${type}`)
  const event: PaymentEvent = JSON.parse(message.value)
  const { event_id, sequence, status, paid } = event
  if (event_id !== message.headers.get('ce_id')) throw new Error(`two ids at offset ${message.offset}`)
  const last = effects.last(payment)
  if (sequence <= last) return // a repeat
  // payments.latest is compacted: the older events of a payment are not missed there
  if (sequence > last + 1 && topic.endsWith('status')) console.error(`gap: ${payment} ${sequence} after ${last}`)
  // in pence or cents: a whole number, never a float
  if (paid && !Number.isSafeInteger(paid.value)) throw new Error(`no whole number at offset ${message.offset}`)
  const goods = effects.decide(event, payment)
  const { value, currency } = paid ?? {}
  effects.add(payment, sequence, { payment, sequence, event_id, status, goods, paid: value, currency })
}
