import { useEffect, useRef, useState } from 'react';

import { RoomsDocument, type RoomsData } from './documents';
import { refusalText } from './refusals';
import { client } from './transport';
import type { RoomSummary } from './types';

const TYPING_PAUSE_MS = 200;

export interface Rooms {
  /** Null until the server has answered once. */
  listed: RoomSummary[] | null;
  hasMore: boolean;
  trouble: string | null;
  /** The room that was typed, by slug or by name; undefined when it is not known (it may be hidden). */
  roomTyped(typed: string): RoomSummary | undefined;
}

/** The rooms that match `search`, and the one whose slug is `slug`, even when the list is too long to show it. */
export function useRooms(search: string, slug: string): Rooms {
  const [data, setData] = useState<(RoomsData & { slug: string }) | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const isFirst = useRef(true);

  useEffect(() => {
    let isStale = false;
    const ask = async () => {
      const result = await client.query(RoomsDocument, { search: search || null, slug }).toPromise();
      if (isStale) return;
      if (result.data) setData({ ...result.data, slug });
      setTrouble(result.error ? refusalText(result.error) : null);
    };
    const timeout = setTimeout(() => void ask(), isFirst.current ? 0 : TYPING_PAUSE_MS);
    isFirst.current = false;
    return () => {
      isStale = true;
      clearTimeout(timeout);
    };
  }, [search, slug]);

  const listed = data && data.rooms.edges.map(({ node }) => node).filter((room) => !room.isArchived);
  const known = [...(listed ?? []), ...(data?.room ? [data.room] : [])];
  return {
    listed,
    hasMore: data?.rooms.pageInfo.hasNextPage ?? false,
    trouble,
    roomTyped: (typed) =>
      known.find((room) => room.slug === typed) ??
      (data?.slug === typed ? data.room : null) ?? // by a slug that it had before
      known.find((room) => room.name.toLocaleLowerCase() === typed.toLocaleLowerCase()),
  };
}
