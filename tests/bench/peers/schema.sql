-- What the peers store, the same for all of them. A room's members are known by their tokens.
CREATE TABLE room (id bigserial PRIMARY KEY);
CREATE TABLE member (
    id bigserial PRIMARY KEY,
    room_id bigint NOT NULL REFERENCES room,
    display_name text NOT NULL,
    token text NOT NULL UNIQUE
);
CREATE TABLE message (
    id bigserial PRIMARY KEY,
    room_id bigint NOT NULL REFERENCES room,
    author_id bigint NOT NULL REFERENCES member,
    text text NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    idempotency_key text,
    UNIQUE (author_id, idempotency_key)
);
CREATE INDEX message_of_room ON message (room_id, id);
