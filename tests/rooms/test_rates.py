"""Token buckets: the same in this process, in Redis, and where Redis is away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.db import connection
from django.test.utils import override_settings

from config.limits import Limits
from rooms import rates, services
from rooms.exceptions import BadUserInput, Forbidden, NotFound, RateLimited, Unauthenticated
from rooms.identity import NOBODY
from rooms.models import Message, RoomAccess
from rooms.rates import AWAY_SECONDS, Bucket, Buckets, LocalBuckets, Rates, RedisBuckets, rates_in
from tests.people import make_guest, make_room, make_user, send

SECOND = 1_000_000


class Clock:
    """Seconds, which pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def seconds(self) -> float:
        return self.now

    def nanoseconds(self) -> int:
        return round(self.now * 1e9)


class Away:
    """What takes tokens from ``buckets`` while ``is_there``, and else raises as redis-py does."""

    def __init__(self, buckets: Buckets) -> None:
        self.is_there = True
        self.asked = 0
        self._buckets = buckets

    def take(self, names: Sequence[str], burst: int, interval: int) -> list[int]:
        self.asked += 1
        if not self.is_there:
            raise ConnectionError("gone")
        return self._buckets.take(names, burst, interval)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shared(clock: Clock) -> Away:
    return Away(LocalBuckets(clock.nanoseconds))


@pytest.fixture
def limited(shared: Away, clock: Clock) -> Rates:
    return Rates(shared, LocalBuckets(clock.nanoseconds), clock.seconds)


def takes(found: Rates, number: int, name: str = "a") -> list[float]:
    return [wait for _ in range(number) for wait in found.take([name], burst=3, per_second=2)]


# One bucket


def test_a_burst_is_let_through_and_then_one_each_interval() -> None:
    bucket = Bucket(burst=3, per_second=2)
    assert [bucket.take(10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert [bucket.take(10.499), bucket.take(10.5), bucket.take(10.5)] == [0.001, 0, 0.5]


def test_a_bucket_fills_to_its_burst_and_no_further() -> None:
    bucket = Bucket(burst=3, per_second=2)
    assert [bucket.take(10.0) for _ in range(3)] == [0, 0, 0]
    assert [bucket.take(99.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_being_refused_costs_nothing() -> None:
    bucket = Bucket(burst=1, per_second=1)
    assert [bucket.take(10.0) for _ in range(9)] == [0] + 8 * [1.0]
    assert bucket.take(11.0) == 0


@pytest.mark.parametrize(("burst", "per_second"), [(0, 1.0), (1, 0.0)])
def test_zero_is_no_limit(burst: int, per_second: float, limited: Rates) -> None:
    bucket = Bucket(burst=burst, per_second=per_second)
    assert not any(bucket.take(10.0) for _ in range(1_000))
    assert limited.take(["a"] * 1_000, burst=burst, per_second=per_second) == [0.0] * 1_000


# Those of a process


def test_each_name_has_a_bucket_of_its_own(clock: Clock) -> None:
    buckets = LocalBuckets(clock.nanoseconds)
    assert buckets.take("aabb", 1, SECOND) == [0, SECOND, 0, SECOND]


def test_only_so_many_are_kept(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "LOCAL_BUCKETS", 2)
    buckets = LocalBuckets(clock.nanoseconds)
    assert buckets.take("ababcba", 1, SECOND) == [0, 0, SECOND, SECOND, 0, SECOND, 0]


# Those that all processes share, on the Redis of this run, whose time passes where a bucket is moved back in it


HOUR = 3600 * SECOND


class OnRedis:
    """A bucket of three, of which one comes back each hour."""

    def __init__(self) -> None:
        self.name = uuid4().hex
        found = caches.create_connection(rates.CACHE_ALIAS)
        assert isinstance(found, RedisCache)
        self.buckets = RedisBuckets(found)
        self.client: Any = found._cache.get_client(write=True)
        self.key = found.make_key(f"salas.rate.{hashlib.sha256(self.name.encode()).hexdigest()}")

    def take(self) -> int:
        return self.take_all(self.name)[0]

    def take_all(self, *names: str) -> list[int]:
        return self.buckets.take(names, 3, HOUR)

    def passes(self, microseconds: int) -> None:
        self.client.decrby(self.key, microseconds)


@pytest.fixture
def on_redis() -> OnRedis:
    return OnRedis()


@pytest.mark.end_to_end
def test_redis_lets_a_burst_through_and_then_one_each_interval(on_redis: OnRedis) -> None:
    assert [on_redis.take() for _ in range(3)] == [0, 0, 0]
    wait = on_redis.take()
    assert HOUR - 60 * SECOND < wait <= HOUR
    on_redis.passes(wait - 60 * SECOND)
    assert 0 < on_redis.take() <= 60 * SECOND
    on_redis.passes(60 * SECOND)
    assert on_redis.take() == 0
    assert on_redis.take() > 0


@pytest.mark.end_to_end
def test_redis_takes_several_tokens_one_after_the_other(on_redis: OnRedis) -> None:
    waits = on_redis.take_all(*[on_redis.name] * 3, uuid4().hex, on_redis.name)
    assert [wait > 0 for wait in waits] == [False, False, False, False, True]


@pytest.mark.end_to_end
def test_redis_forgets_a_bucket_that_is_full(on_redis: OnRedis) -> None:
    on_redis.take()
    assert HOUR - 60 * SECOND < 1000 * on_redis.client.pttl(on_redis.key) <= HOUR


@pytest.mark.end_to_end
def test_a_clock_that_was_set_back_empties_a_bucket_and_no_more(on_redis: OnRedis) -> None:
    on_redis.take()
    on_redis.passes(-1_000 * HOUR)
    assert 0 < on_redis.take() <= HOUR


@pytest.mark.end_to_end
def test_redis_takes_many_tokens_in_one_round_trip_and_learns_the_script_again(on_redis: OnRedis) -> None:
    on_redis.client.script_flush()
    on_redis.take()
    before = on_redis.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    on_redis.take_all(*(f"{on_redis.name} {each}" for each in range(50)))
    assert on_redis.client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


@pytest.mark.end_to_end
def test_processes_share_a_bucket(on_redis: OnRedis) -> None:
    one, other = (rates_in(caches.create_connection(rates.CACHE_ALIAS)) for _ in range(2))
    waits = [each.take([on_redis.name], burst=2, per_second=0.001) for each in (one, other, one, other)]
    assert [wait > [0] for wait in waits] == [False, False, True, True]


# While the cache is away


def test_without_a_cache_to_share_a_process_goes_by_itself() -> None:
    alone = rates_in(LocMemCache("", {}))
    assert [wait > 0 for wait in alone.take("aa", burst=1, per_second=0.001)] == [False, True]


def test_there_is_a_limit_while_the_cache_is_away(limited: Rates, shared: Away) -> None:
    shared.is_there = False
    assert takes(limited, 4) == [0, 0, 0, 0.5]


def test_what_was_taken_before_counts_when_the_cache_goes_away(limited: Rates, shared: Away) -> None:
    takes(limited, 2)
    shared.is_there = False
    assert takes(limited, 2) == [0, 0.5]


def test_what_the_cache_refuses_is_refused(limited: Rates, shared: Away) -> None:
    for _ in range(3):
        shared.take(["a"], 3, SECOND // 2)  # by another process
    assert takes(limited, 1) == [0.5]


def test_nobody_asks_again_and_again_while_the_cache_is_away(
    limited: Rates, shared: Away, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shared.is_there = False
    takes(limited, 9)
    assert shared.asked == 1
    clock.now += AWAY_SECONDS
    takes(limited, 9)
    assert shared.asked == 2
    assert caplog.text.count("The cache is away") == 1


def test_the_cache_counts_again_once_it_is_back(
    limited: Rates, shared: Away, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shared.is_there = False
    takes(limited, 1)
    shared.is_there = True
    clock.now += AWAY_SECONDS
    takes(limited, 9)
    assert shared.asked == 10
    assert "The cache is back" in caplog.text


# What people do


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Clock]:
    """Two sends at once and then one a second, by this clock."""
    limited = Rates(None, LocalBuckets(clock.nanoseconds), clock.seconds)
    monkeypatch.setattr(rates, "of_this_process", lambda: limited)
    with override_settings(LIMITS=replace(Limits(), send_burst=2, sends_per_second=1)):
        yield clock


@pytest.mark.keeps("send_burst", "sends_per_second")
@pytest.mark.exceeds("send_burst", "sends_per_second")
@pytest.mark.django_db
def test_sends_are_limited_and_told_when_to_come_back(paced: Clock) -> None:
    room = make_room()
    ana = make_guest(room)
    send(ana, room)
    send(ana, room)
    with pytest.raises(RateLimited) as refused:
        send(ana, room)
    assert refused.value.extensions == {"code": "RATE_LIMITED", "retryAfter": 1.0}
    paced.now += refused.value.retry_after
    send(ana, room)
    assert Message.objects.count() == 3


@pytest.mark.django_db
def test_each_member_of_each_room_has_a_bucket(paced: Clock) -> None:
    one, other = make_room(), make_room()
    ana, rui = make_guest(one), make_guest(one)
    bia = make_user()
    for room in (one, other):
        services.join_room(viewer=bia, slug=room.slug, display_name="Bia")
    for viewer, room in ((ana, one), (rui, one), (bia, one), (bia, other)) * 2:
        send(viewer, room)
    for viewer, room in ((ana, one), (rui, one), (bia, one), (bia, other)):
        with pytest.raises(RateLimited):
            send(viewer, room)


@pytest.mark.django_db
def test_who_may_send_nothing_is_told_so_at_any_rate(paced: Clock) -> None:
    room = make_room()
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            send(NOBODY, room)


@pytest.mark.django_db
def test_a_retry_of_what_was_sent_is_answered_at_any_rate(paced: Clock) -> None:
    room = make_room()
    ana = make_guest(room)
    sent = send(ana, room, key="k")
    send(ana, room)
    for _ in range(5):
        assert send(ana, room, key="k") == sent
    with pytest.raises(RateLimited):
        send(ana, room, key="another")
    with pytest.raises(BadUserInput):
        send(ana, room, "another text", key="k")


@pytest.mark.django_db
def test_a_retry_shows_nobody_more_than_they_may_see(paced: Clock) -> None:
    room, hidden = make_room(), make_room(RoomAccess.MEMBERS)
    ana = make_guest(room)
    send(ana, room, key="k")
    send(ana, room)
    services.leave_room(viewer=ana, room_id=room.pk)
    with pytest.raises(Forbidden):
        send(ana, room, key="k")
    for room_id in (hidden.pk, 10**9):
        for _ in range(3):
            with pytest.raises(NotFound):
                services.send_message(viewer=ana, room_id=room_id, text="x", idempotency_key="k")


@pytest.mark.django_db
def test_edits_are_limited_and_deletions_are_not(paced: Clock) -> None:
    room = make_room()
    ana = make_guest(room)
    first, second = (send(ana, room).message.pk for _ in range(2))
    for text in "ab":
        services.edit_message(viewer=ana, message_id=first, text=text)
    with pytest.raises(RateLimited):
        services.edit_message(viewer=ana, message_id=first, text="c")
    for message_id in (first, second, first):
        services.delete_message(viewer=ana, message_id=message_id)


@pytest.mark.django_db
def test_nobody_waits_for_the_cache_under_a_lock(paced: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[bool] = []
    room = make_room()
    ana = make_guest(room)
    outer = len(connection.savepoint_ids)

    def take(*names: str, **_: object) -> list[float]:
        inside.append(len(connection.savepoint_ids) > outer)
        return [0.0 for _ in names]

    monkeypatch.setattr(rates, "take", take)
    sent = send(ana, room)
    services.edit_message(viewer=ana, message_id=sent.message.pk, text="x")
    assert inside == [False, False]
