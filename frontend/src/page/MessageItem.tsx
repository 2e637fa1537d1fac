import { memo, useState } from 'react';

import { MessageEditor } from './MessageEditor';
import type { Message } from './types';
import type { RoomActions } from './roomActions';

interface Props {
  message: Message;
  isOwn: boolean;
  mayEdit: boolean;
  mayDelete: boolean;
  actions: RoomActions;
}

const TIME = new Intl.DateTimeFormat('pt-BR', { timeStyle: 'short' });
const DATE_AND_TIME = new Intl.DateTimeFormat('pt-BR', { dateStyle: 'long', timeStyle: 'medium' });

export const MessageItem = memo(function MessageItem({ message, isOwn, mayEdit, mayDelete, actions }: Props) {
  const [isEditing, setIsEditing] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const isDeleted = message.deletedAt !== null;

  async function remove() {
    if (window.confirm('Apagar esta mensagem?')) setRefusal(await actions.remove(message.id));
  }

  return (
    <li className={isOwn ? 'message own' : 'message'} data-message-id={message.id} data-sequence={message.sequence}>
      <p className="meta">
        <span className="author" dir="auto">
          {message.author.displayName}
        </span>
        <SentAt message={message} />
        {!isDeleted && !isEditing && (mayEdit || mayDelete) && (
          <span className="controls">
            {mayEdit && (
              <button type="button" onClick={() => setIsEditing(true)}>
                Editar
              </button>
            )}
            {mayDelete && (
              <button type="button" onClick={() => void remove()}>
                Apagar
              </button>
            )}
          </span>
        )}
      </p>
      {isDeleted ? (
        <p className="deleted">mensagem apagada</p>
      ) : isEditing ? (
        <MessageEditor
          text={message.text ?? ''}
          onSave={(text) => actions.edit(message.id, text)}
          onClose={() => setIsEditing(false)}
        />
      ) : (
        <p className="text" dir="auto">
          {message.text}
        </p>
      )}
      {refusal && (
        <p role="alert" className="refusal">
          {refusal}
        </p>
      )}
    </li>
  );
});

function SentAt({ message: { sentAt, editedAt, deletedAt } }: { message: Message }) {
  const date = new Date(sentAt);
  return (
    <>
      <time dateTime={sentAt} title={DATE_AND_TIME.format(date)}>
        {TIME.format(date)}
      </time>
      {editedAt !== null && deletedAt === null && (
        <span title={DATE_AND_TIME.format(new Date(editedAt))}>· editada</span>
      )}
    </>
  );
}
