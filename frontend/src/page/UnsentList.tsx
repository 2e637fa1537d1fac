import { useState } from 'react';

import type { UnsentMessage } from './log';
import { MessageEditor } from './MessageEditor';
import type { RoomActions } from './roomActions';

interface Props {
  unsent: readonly UnsentMessage[];
  actions: RoomActions;
}

/** Own messages that the server has not confirmed yet, below everything that it has. */
export function UnsentList({ unsent, actions }: Props) {
  if (unsent.length === 0) return null;
  return (
    <ol className="messages" aria-label="Mensagens não confirmadas">
      {unsent.map((message) => (
        <UnsentItem key={message.idempotencyKey} message={message} actions={actions} />
      ))}
    </ol>
  );
}

interface ItemProps {
  message: UnsentMessage;
  actions: RoomActions;
}

function UnsentItem({ message: { idempotencyKey, text, refusal }, actions }: ItemProps) {
  const [isEditing, setIsEditing] = useState(false);

  const sendInstead = async (rewritten: string) => {
    actions.discard(idempotencyKey);
    actions.send(rewritten);
    return null;
  };

  return (
    <li className="message own unsent" data-state={refusal === null ? 'sending' : 'refused'}>
      <p className="meta">{refusal === null ? 'enviando…' : 'não enviada'}</p>
      {isEditing ? (
        <MessageEditor text={text} onSave={sendInstead} onClose={() => setIsEditing(false)} />
      ) : (
        <p className="text" dir="auto">
          {text}
        </p>
      )}
      {refusal !== null && <p className="refusal">{refusal}</p>}
      {refusal !== null && !isEditing && (
        <p className="controls">
          <button type="button" onClick={() => actions.send(text, idempotencyKey)}>
            Tentar de novo
          </button>
          <button type="button" onClick={() => setIsEditing(true)}>
            Editar
          </button>
          <button type="button" onClick={() => actions.discard(idempotencyKey)}>
            Descartar
          </button>
        </p>
      )}
    </li>
  );
}
