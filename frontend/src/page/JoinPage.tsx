import { type FormEvent, useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';

import { JoinRoomDocument, ViewerDocument, type ViewerData } from './documents';
import { becomeKnown } from './joined';
import { isEnterOfComposition } from './keys';
import { Link } from './Link';
import { rememberDisplayName, rememberedDisplayName } from './memory';
import { joinRefusalText } from './refusals';
import { RoomList } from './RoomList';
import { navigate, reasonOfArrival, salaPath } from './route';
import { client } from './transport';
import { useRooms } from './useRooms';

export function JoinPage({ slug }: { slug: string }) {
  const [typed, setTyped] = useState(slug);
  const [search, setSearch] = useState('');
  const [password, setPassword] = useState('');
  const [displayName, setDisplayName] = useState(rememberedDisplayName);
  const [refusal, setRefusal] = useState<string | null>(reasonOfArrival);
  const [isJoining, setIsJoining] = useState(false);
  const nameField = useRef<HTMLInputElement>(null);
  const viewer = useViewer();
  const rooms = useRooms(search, typed.trim());

  const room = rooms.roomTyped(typed.trim());
  const isAnswered = rooms.listed !== null || rooms.trouble !== null;
  const wantsPassword = typed.trim() !== '' && isAnswered && (!room || room.access === 'PASSWORD');

  useEffect(() => {
    document.title = 'Entrar · Salas';
  }, []);

  useEffect(() => {
    const known = viewer?.displayName;
    if (known) setDisplayName((written) => written || known);
  }, [viewer]);

  const choose = (chosen: string) => {
    setTyped(chosen);
    nameField.current?.focus({ preventScroll: true });
  };

  const type = (text: string) => {
    setTyped(text);
    setSearch(text.trim());
  };

  async function join(event: FormEvent) {
    event.preventDefault();
    if (isJoining) return;
    flushSync(() => setIsJoining(true)); // at once, so that a second press does not enter again
    setRefusal(null);
    const input = {
      slug: room?.slug ?? typed.trim(),
      displayName: displayName.trim(),
      password: wantsPassword && password ? password : null,
    };
    const { data, error } = await client.mutation(JoinRoomDocument, { input }).toPromise();
    const { reason, isKnown } = data ? await becomeKnown(data.joinRoom) : { reason: null, isKnown: false };
    setIsJoining(false);
    if (!data) return setRefusal(error ? joinRefusalText(error) : 'Não deu certo. Tente de novo.');
    rememberDisplayName(input.displayName);
    if (!isKnown) return setRefusal(reason);
    navigate(salaPath(data.joinRoom.room.slug), { reason });
  }

  return (
    <main className="join">
      <h1>Salas</h1>
      <Joined members={viewer?.members ?? []} />
      <form
        onSubmit={(event) => void join(event)}
        onKeyDown={(event) => isEnterOfComposition(event.nativeEvent) && event.preventDefault()}
      >
        <label htmlFor="room">Sala</label>
        <input
          id="room"
          required
          value={typed}
          onChange={(event) => type(event.target.value)}
          placeholder="Escolha abaixo ou digite"
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
        />
        <RoomList rooms={rooms} chosen={room?.slug} onChoose={choose} />
        {wantsPassword && (
          <>
            <label htmlFor="password">Senha da sala</label>
            <input
              id="password"
              type="password"
              value={password}
              onChange={(event) => setPassword(event.target.value)}
              autoComplete="off"
              aria-describedby={room ? undefined : 'password-hint'}
            />
            {!room && (
              <p id="password-hint" className="hint">
                Esta sala não está na lista. Se ela tiver senha, escreva aqui.
              </p>
            )}
          </>
        )}
        <label htmlFor="displayName">Seu nome</label>
        <input
          id="displayName"
          ref={nameField}
          required
          value={displayName}
          onChange={(event) => setDisplayName(event.target.value)}
          autoComplete="nickname"
          dir="auto"
        />
        <p role="alert" className="refusal">
          {refusal}
        </p>
        <button type="submit" className="primary" disabled={isJoining}>
          {isJoining ? 'Entrando…' : 'Entrar'}
        </button>
      </form>
    </main>
  );
}

function Joined({ members }: { members: ViewerData['viewer']['members'] }) {
  const open = members.filter(({ room }) => !room.isArchived);
  if (open.length === 0) return null;
  return (
    <nav aria-label="Salas em que você está">
      <h2>Você já está em</h2>
      <ul>
        {open.map(({ id, room }) => (
          <li key={id}>
            <Link href={salaPath(room.slug)} dir="auto">
              {room.name}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function useViewer(): ViewerData['viewer'] | null {
  const [viewer, setViewer] = useState<ViewerData['viewer'] | null>(null);
  useEffect(() => {
    let isStale = false;
    void client
      .query(ViewerDocument, {})
      .toPromise()
      .then(({ data }) => data && !isStale && setViewer(data.viewer));
    return () => {
      isStale = true;
    };
  }, []);
  return viewer;
}
