// What the Node peers share: who a bearer token belongs to, and where messages are stored. With STORE=nothing they are
// not, which is what such servers do in the examples of their documentation.
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
const isStored = process.env.STORE !== 'nothing'
const lastSequence = new Map()
let lastId = 0

const MEMBER = 'SELECT id, room_id, display_name FROM member WHERE token = $1'
const INSERT = `INSERT INTO message (room_id, author_id, text, idempotency_key)
  VALUES ($1, $2, $3, $4) RETURNING id, sent_at`

export async function memberBy(authorization) {
  const { rows } = await pool.query(MEMBER, [authorization?.replace('Bearer ', '') ?? ''])
  return rows[0] ?? null
}

// The sequence is a counter of this process, taken once the message is stored: it says in which order it is published.
export async function stored(member, { roomId, text, idempotencyKey }) {
  if (member?.room_id !== roomId) throw new Error('Only members send.')
  const row = isStored
    ? (await pool.query(INSERT, [roomId, member.id, text, idempotencyKey])).rows[0]
    : { id: ++lastId, sent_at: new Date() }
  const sequence = (lastSequence.get(roomId) ?? 0) + 1
  lastSequence.set(roomId, sequence)
  const cursor = Buffer.from(`log:${roomId}:${sequence}`).toString('base64url')
  const author = { displayName: member.display_name }
  const message = { id: String(row.id), text, sequence, sentAt: row.sent_at.toISOString(), author }
  return { cursor, sequence, kind: 'SENT', message }
}
