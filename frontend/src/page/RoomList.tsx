import type { RoomAccess } from './types';
import type { Rooms } from './useRooms';

const ACCESS: Record<RoomAccess, string> = { OPEN: 'aberta', PASSWORD: 'com senha', MEMBERS: 'só para membros' };

interface Props {
  rooms: Rooms;
  chosen: string | undefined;
  onChoose: (slug: string) => void;
}

export function RoomList({ rooms: { listed, hasMore, trouble }, chosen, onChoose }: Props) {
  if (trouble) return <p className="hint">{trouble}</p>;
  if (listed === null) return <p className="hint">Procurando salas…</p>;
  if (listed.length === 0) return <p className="hint">Nenhuma sala da lista combina com isso.</p>;
  return (
    <>
      <ul className="rooms" aria-label="Salas para escolher">
        {listed.map(({ slug, name, description, access }) => (
          <li key={slug}>
            <button type="button" aria-pressed={slug === chosen} data-slug={slug} onClick={() => onChoose(slug)}>
              <span className="name" dir="auto">
                {name}
              </span>
              <span className="access">{ACCESS[access]}</span>
              {description && (
                <span className="description" dir="auto">
                  {description}
                </span>
              )}
            </button>
          </li>
        ))}
      </ul>
      {hasMore && <p className="hint">Há mais salas: digite parte do nome para encontrá-las.</p>}
    </>
  );
}
