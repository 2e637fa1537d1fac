// mercurius on fastify, as https://mercurius.dev/#/docs/subscriptions has it; mutations over the WebSocket too.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { memberBy, stored } from './store.mjs'

const app = Fastify()

app.register(mercurius, {
  schema: readFileSync(new URL('schema.graphql', import.meta.url), 'utf8'),
  path: '/graphql/',
  resolvers: {
    Query: { hello: () => 'world' },
    Mutation: {
      sendMessage: async (_, { input }, { member, pubsub }) => {
        const event = await stored(member, input)
        await pubsub.publish({ topic: input.roomId, payload: { messages: event } })
        return event
      },
    },
    Subscription: {
      messages: { subscribe: (_, { roomId }, { pubsub }) => pubsub.subscribe(roomId) },
    },
  },
  context: async (request) => ({ member: await memberBy(request.headers.authorization) }),
  subscription: {
    fullWsTransport: true,
    onConnect: async ({ payload }) => {
      const member = await memberBy(payload?.authorization)
      return member !== null && { member }
    },
  },
})

app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
