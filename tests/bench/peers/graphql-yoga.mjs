// graphql-yoga with graphql-ws, as https://the-guild.dev/graphql/yoga-server/docs/features/subscriptions has it.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { useServer } from 'graphql-ws/use/ws'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import { WebSocketServer } from 'ws'
import { memberBy, stored } from './store.mjs'

const pubSub = createPubSub()

const schema = createSchema({
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

const yoga = createYoga({
  schema,
  graphqlEndpoint: '/graphql/',
  logging: 'error',
  context: async (context) => ({
    member: context.extra ? context.extra.member : await memberBy(context.request.headers.get('authorization')),
  }),
})
const server = createServer(yoga)

useServer(
  {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    onConnect: async (context) => {
      context.extra.member = await memberBy(context.connectionParams?.authorization)
      return context.extra.member !== null
    },
    onSubscribe: async (context, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params,
      })
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      }
      const errors = validate(args.schema, args.document)
      return errors.length > 0 ? errors : args
    },
  },
  new WebSocketServer({ server, path: yoga.graphqlEndpoint }),
)

server.listen(Number(process.env.PORT), '127.0.0.1')
