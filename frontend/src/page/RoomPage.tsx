import { useEffect, useMemo, useRef, useState } from 'react';

import { Composer } from './Composer';
import { type ConnectionState, useConnection } from './connection';
import { Link } from './Link';
import { isolated } from './isolated';
import { messagesInOrder } from './log';
import { MessageList } from './MessageList';
import { entrarPath, reasonOfArrival } from './route';
import type { EnteredRoom } from './types';
import { UnsentList } from './UnsentList';
import type { RoomActions } from './roomActions';
import { useRoom } from './useRoom';
import { useStickToEnd } from './useStickToEnd';

export function RoomPage({ slug }: { slug: string }) {
  const { room, log, trouble, actions } = useRoom(slug);
  const [refusal, setRefusal] = useState<string | null>(reasonOfArrival);
  const [isLoading, setIsLoading] = useState(false);
  const messages = useMemo(() => messagesInOrder(log), [log]);
  const scroller = useRef<HTMLDivElement>(null);
  const { isAtEnd, onScroll, goToEnd } = useStickToEnd(scroller, messages[0]?.id);

  useEffect(() => {
    document.title = `${isolated(room?.name ?? slug)} · Salas`;
  }, [room?.name, slug]);

  async function loadEarlier() {
    setIsLoading(true);
    setRefusal(await actions.loadEarlier());
    setIsLoading(false);
  }

  const send = (text: string) => {
    actions.send(text);
    goToEnd();
  };

  return (
    <main className="room">
      <RoomHeader slug={slug} room={room} actions={actions} onRefusal={setRefusal} />
      <Notice trouble={trouble} refusal={refusal} isReading={room === null} />
      <div
        ref={scroller}
        className="log"
        role="log"
        aria-label="Mensagens"
        aria-live="polite"
        aria-busy={isLoading || room === null}
        tabIndex={0}
        onScroll={onScroll}
      >
        {log.earlierCursor !== null && (
          <button type="button" className="earlier" disabled={isLoading} onClick={() => void loadEarlier()}>
            {isLoading ? 'Carregando…' : 'Carregar anteriores'}
          </button>
        )}
        {room && messages.length === 0 && log.unsent.length === 0 && (
          <p className="hint empty">Ainda não há mensagens. Escreva a primeira!</p>
        )}
        {room && <MessageList messages={messages} viewerMember={room.viewerMember} actions={actions} isReadOnly={room.isArchived} />}
        <UnsentList unsent={log.unsent} actions={actions} />
      </div>
      {!isAtEnd && (
        <button type="button" className="to-end" onClick={goToEnd}>
          Ir para o fim ↓
        </button>
      )}
      {room?.isArchived ? (
        <p className="archived">Esta sala está arquivada: dá para ler, mas não para escrever.</p>
      ) : (
        <Composer onSend={send} isReady={room !== null} />
      )}
    </main>
  );
}

interface HeaderProps {
  slug: string;
  room: EnteredRoom | null;
  actions: RoomActions;
  onRefusal: (refusal: string | null) => void;
}

function RoomHeader({ slug, room, actions, onRefusal }: HeaderProps) {
  async function leave() {
    if (window.confirm(`Sair da sala ${isolated(room?.name ?? slug)}?`)) onRefusal(await actions.leave());
  }
  return (
    <header>
      <Link href={entrarPath()} aria-label="Todas as salas" className="back">
        ← Salas
      </Link>
      <h1 dir="auto">{room?.name ?? slug}</h1>
      {room && (
        <button type="button" onClick={() => void leave()}>
          Sair da sala
        </button>
      )}
      {room?.description && (
        <p className="description" dir="auto">
          {room.description}
        </p>
      )}
    </header>
  );
}

interface NoticeProps {
  trouble: string | null;
  refusal: string | null;
  isReading: boolean;
}

function Notice({ trouble, refusal, isReading }: NoticeProps) {
  const { state, trouble: ofConnection } = useConnection();
  return (
    <>
      <p role="status" className="notice" data-connection={state}>
        {trouble ?? waitingText(state, ofConnection, isReading)}
      </p>
      <p role="alert" className="refusal">
        {refusal}
      </p>
    </>
  );
}

function waitingText(state: ConnectionState, trouble: string | null, isReading: boolean): string | null {
  if (state === 'reconnecting') return [trouble, 'Reconectando…'].filter(Boolean).join(' ');
  return isReading || state === 'connecting' ? 'Conectando…' : null;
}
