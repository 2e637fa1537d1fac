import { Fragment } from 'react';

import { MessageItem } from './MessageItem';
import type { Member, Message } from './types';
import type { RoomActions } from './roomActions';

interface Props {
  messages: readonly Message[];
  viewerMember: Member;
  actions: RoomActions;
  isReadOnly: boolean;
}

const DAY = new Intl.DateTimeFormat('pt-BR', { dateStyle: 'full' });
const dayOf = ({ sentAt }: Message) => DAY.format(new Date(sentAt));

export function MessageList({ messages, viewerMember, actions, isReadOnly }: Props) {
  const mayDeleteAny = viewerMember.role !== 'MEMBER';
  return (
    <ol className="messages">
      {messages.map((message, index) => {
        const isOwn = message.author.id === viewerMember.id;
        const previous = messages[index - 1];
        return (
          <Fragment key={message.id}>
            {(!previous || dayOf(previous) !== dayOf(message)) && <li className="day">{dayOf(message)}</li>}
            <MessageItem
              message={message}
              isOwn={isOwn}
              mayEdit={isOwn && !isReadOnly}
              mayDelete={(isOwn || mayDeleteAny) && !isReadOnly}
              actions={actions}
            />
          </Fragment>
        );
      })}
    </ol>
  );
}
