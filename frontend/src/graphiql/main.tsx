import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './style.css';

import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { exampleRoom } from './exampleRoom';
import { exampleTabs } from './examples';
import { fetcher } from './fetcher';
import { graphiqlStorage } from './storage';
import { sayWhenOutdated } from './outdated';

sayWhenOutdated();

const storage = graphiqlStorage();
const asked = new URLSearchParams(location.search);
const query = asked.get('query') ?? undefined;
const variables = asked.get('variables') ?? undefined;
const examples = exampleTabs(await exampleRoom());
const askedTab = query === undefined ? [] : [{ query, ...(variables !== undefined && { variables }) }];

createRoot(document.getElementById('graphiql')!).render(
  <GraphiQL
    fetcher={fetcher}
    {...(storage !== undefined && { storage: storage as Storage })}
    defaultTabs={[...askedTab, ...examples]}
    {...(query !== undefined && { initialQuery: query })}
    {...(variables !== undefined && { initialVariables: variables })}
    defaultEditorToolsVisibility
    shouldPersistHeaders={false}
  >
    <GraphiQL.Logo>Salas</GraphiQL.Logo>
  </GraphiQL>,
);
