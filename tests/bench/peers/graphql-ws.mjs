// graphql-ws on ws, and graphql-http for what comes over HTTP, as https://the-guild.dev/graphql/ws has them.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { makeExecutableSchema } from '@graphql-tools/schema'
import { createPubSub } from '@graphql-yoga/subscription'
import { createHandler } from 'graphql-http/lib/use/http'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { memberBy, stored } from './store.mjs'

const pubSub = createPubSub()

const schema = makeExecutableSchema({
  typeDefs: readFileSync(new URL('schema.graphql', import.meta.url), 'utf8'),
  resolvers: {
    Query: { hello: () => 'world' },
    Mutation: {
      sendMessage: async (_, { input }, { member }) => {
        const event = await stored(member, input)
        pubSub.publish(input.roomId, event)
        return event
      },
    },
    Subscription: {
      messages: { subscribe: (_, { roomId }) => pubSub.subscribe(roomId), resolve: (event) => event },
    },
  },
})

const handler = createHandler({
  schema,
  context: async (request) => ({ member: await memberBy(request.headers.authorization) }),
})
const server = createServer(handler)

useServer(
  {
    schema,
    onConnect: async (context) => {
      context.extra.member = await memberBy(context.connectionParams?.authorization)
      return context.extra.member !== null
    },
    context: (context) => ({ member: context.extra.member }),
  },
  new WebSocketServer({ server, path: '/graphql/' }),
)

server.listen(Number(process.env.PORT), '127.0.0.1')
