"""How often a password may be guessed, and that neither words nor work tell which names there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher, make_password
from django.contrib.auth.models import User
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client, override_settings
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from rooms import accounts, attempts, hashing, services
from rooms.attempts import Counts, attempt, network_of
from rooms.exceptions import NotFound, RateLimited, Refusal, Unauthenticated, WrongPassword
from rooms.hashing import QUEUE, SLOTS, hashing_slot
from rooms.identity import NOBODY, OPERATOR
from rooms.models import Room, RoomAccess
from tests.people import PASSWORD, make_room

SECONDS = 100.0
ARGON2 = ["django.contrib.auth.hashers.Argon2PasswordHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class AwayCache(LocMemCache):
    def add(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("the cache is away")

    get = incr = set = add


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counts(clock: Clock) -> Counts:
    cache = LocMemCache(uuid4().hex, {})
    return Counts(lambda: cache, clock)


@pytest.fixture
def limited(counts: Counts, settings: Settings) -> Iterator[Counts]:
    """Three attempts an account, five an address."""
    settings.LIMITS = replace(settings.LIMITS, logins_per_account=3, logins_per_address=5, login_seconds=SECONDS)
    with patch.object(attempts, "counts", counts):
        yield counts


def fits(counts: Counts, limit: int = 3) -> bool:
    try:
        counts.take("name", limit, SECONDS)
    except RateLimited:
        return False
    return True


# Counting


def test_as_many_fit_as_the_limit_says_and_zero_is_none(counts: Counts) -> None:
    assert [fits(counts) for _ in range(5)] == [True] * 3 + [False] * 2
    assert all(fits(counts, 0) for _ in range(100))


def test_what_was_refused_does_not_count_so_tries_come_back_however_often_one_tries(
    counts: Counts, clock: Clock
) -> None:
    for _ in range(100):
        fits(counts)
    clock.now += SECONDS
    assert not fits(counts)
    clock.now += SECONDS / 2
    assert fits(counts)


@given(steps=st.lists(st.floats(0, 150), min_size=1, max_size=40), limit=st.integers(1, 6))
def test_who_waits_as_long_as_the_refusal_says_is_let_in(steps: list[float], limit: int) -> None:
    clock, cache = Clock(), LocMemCache(uuid4().hex, {})
    counts = Counts(lambda: cache, clock)
    for step in steps:
        clock.now += step
        try:
            counts.take("name", limit, SECONDS)
        except RateLimited as refusal:
            clock.now += refusal.retry_after
            counts.take("name", limit, SECONDS)


@given(steps=st.lists(st.floats(0, 60), max_size=60), limit=st.integers(1, 6))
def test_no_window_ever_holds_more_than_twice_the_limit(steps: list[float], limit: int) -> None:
    """Two windows stand for the sliding one: that is what the approximation costs at worst."""
    clock, cache, taken = Clock(), LocMemCache(uuid4().hex, {}), list[float]()
    counts = Counts(lambda: cache, clock)
    for step in steps:
        clock.now += step
        with suppress(RateLimited):
            counts.take("name", limit, SECONDS)
            taken.append(clock.now)
    for end in taken:
        assert sum(end - SECONDS < each <= end for each in taken) <= 2 * limit


def test_without_the_cache_the_process_counts_for_itself(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    counts = Counts(lambda: AwayCache(uuid4().hex, {}), clock)
    assert [fits(counts) for _ in range(4)] == [True] * 3 + [False]
    assert "the cache is away" in caplog.text


def test_processes_that_share_a_cache_share_the_limit(clock: Clock) -> None:
    cache = LocMemCache(uuid4().hex, {})
    one, other = Counts(lambda: cache, clock), Counts(lambda: cache, clock)
    assert [fits(one), fits(other), fits(one), fits(other)] == [True, True, True, False]


# Guesses


def guess(account: str, address: str | None = "192.0.2.1", *, right: bool = False) -> bool:
    """Make a guess; return whether it was let through."""
    try:
        with attempt(account, address) as made:
            if right:
                made.succeeded()
    except RateLimited:
        return False
    return True


@pytest.mark.keeps("logins_per_account")
@pytest.mark.exceeds("logins_per_account")
def test_an_account_is_guessed_at_so_often_from_everywhere(limited: Counts) -> None:
    assert [guess("ana", f"192.0.2.{number}") for number in range(4)] == [True] * 3 + [False]
    assert guess("rui", "192.0.2.9")


@pytest.mark.keeps("logins_per_address")
@pytest.mark.exceeds("logins_per_address")
def test_an_address_guesses_so_often_at_all_accounts(limited: Counts) -> None:
    assert [guess(f"user-{number}") for number in range(6)] == [True] * 5 + [False]
    assert guess("user-9", "192.0.2.2")


@pytest.mark.keeps("login_seconds")
@pytest.mark.exceeds("login_seconds")
def test_guesses_count_for_as_long_as_the_limit_says(limited: Counts, clock: Clock) -> None:
    clock.now -= clock.now % SECONDS  # so that a window begins
    assert [guess("ana", f"192.0.2.{number}") for number in range(4)] == [True] * 3 + [False]
    clock.now += 0.99 * SECONDS
    assert not guess("ana")
    clock.now += 1.01 * SECONDS
    assert guess("ana")


def test_the_right_password_costs_the_account_nothing_and_the_address_as_much_as_a_wrong_one(limited: Counts) -> None:
    assert [guess("ana", right=True) for _ in range(6)] == [True] * 5 + [False]
    assert all(guess("ana", f"192.0.2.{number}") for number in range(2, 5))


def test_nobody_shuts_out_who_comes_from_where_they_have_come_in_before(limited: Counts) -> None:
    guess("ana", "192.0.2.7", right=True)
    for number in range(10, 20):
        guess("ana", f"192.0.2.{number}")
    assert not guess("ana", "192.0.2.99")
    assert [guess("ana", "192.0.2.7") for _ in range(4)] == [True] * 3 + [False]


def test_no_account_can_be_named_like_the_place_that_another_one_comes_from(limited: Counts) -> None:
    """Else guessing at an account that there is not would use up the tries of one that there is, at its own address."""
    guess("ana", "192.0.2.7", right=True)
    for number in range(10, 20):
        guess("ana@192.0.2.7", f"192.0.2.{number}")
    assert guess("ana", "192.0.2.7")


def test_a_network_of_ipv6_is_one_address(limited: Counts) -> None:
    assert [guess(f"user-{number}", f"2001:db8::{number}") for number in range(6)] == [True] * 5 + [False]
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")


# Hashing


def test_so_many_hash_and_wait_at_once_and_the_rest_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0)
    for _ in range(3):  # what was refused leaves nothing behind
        with hashing_slot(), hashing_slot(), pytest.raises(RateLimited), hashing_slot():
            pass
    assert SLOTS == 2
    assert QUEUE > 0


def test_a_guess_that_was_never_made_for_want_of_a_turn_does_not_count(limited: Counts) -> None:
    for _ in range(10):
        with pytest.raises(RateLimited, match="Too much"), attempt("ana", "192.0.2.1"):
            raise RateLimited(1.0)
    assert guess("ana")


# What a guess tells


@pytest.fixture
def hashed() -> Iterator[list[str]]:
    """What was hashed."""
    texts: list[str] = []
    encode = MD5PasswordHasher.encode

    def encoded(self: MD5PasswordHasher, password: str, salt: str) -> str:
        texts.append(password)
        return encode(self, password, salt)

    with patch.object(MD5PasswordHasher, "encode", encoded):
        yield texts


@pytest.fixture
def accounts_of_all_kinds(db: None) -> None:
    User.objects.create_user("active", password="right password")
    User.objects.create_user("inactive", password="right password", is_active=False)
    User.objects.create_user("passwordless")


ATTACKS = [
    ("active", "wrong"),
    ("inactive", "wrong"),
    ("inactive", "right password"),
    ("passwordless", "wrong"),
    ("absent", "wrong"),
    ("a\0b", "wrong"),
    ("\ud800", "wrong"),
    ("active", "\ud800"),
    ("active", "a\0b"),
    ("x" * 10_000, "wrong"),
    ("", ""),
]


@pytest.mark.usefixtures("accounts_of_all_kinds")
@pytest.mark.parametrize(("username", "password"), ATTACKS, ids=ascii)
def test_whatever_is_wrong_is_one_hash_and_one_answer(username: str, password: str, hashed: list[str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        accounts.log_in(username=username, password=password, address=None)
    assert refused.value.message == "The user name or the password is wrong."
    assert len(hashed) == 1


@pytest.mark.usefixtures("accounts_of_all_kinds")
@pytest.mark.parametrize("username", ["active", "inactive", "passwordless", "absent", "\u0301" * 99_000], ids=range(5))
def test_a_password_in_another_spelling_is_two_hashes_whatever_the_account(username: str, hashed: list[str]) -> None:
    with pytest.raises(Unauthenticated):
        accounts.log_in(username=username, password="cafe\u0301", address=None)
    assert len(hashed) == 2


@pytest.mark.usefixtures("accounts_of_all_kinds")
def test_a_user_name_in_other_spellings_is_one_account(limited: Counts) -> None:
    User.objects.create_user("jos\u00e9", password="right password")
    for spelling in ("jos\u00e9", "jose\u0301", "\uff4aos\u00e9"):
        with pytest.raises(Unauthenticated):
            accounts.log_in(username=spelling, password="wrong", address="192.0.2.1")
    with pytest.raises(RateLimited):
        accounts.log_in(username=" jose\u0301 ", password="right password", address="192.0.2.1")


@pytest.mark.usefixtures("accounts_of_all_kinds")
@pytest.mark.parametrize("username", ["active", "inactive", "passwordless", "absent", "a\0b"], ids=ascii)
def test_every_name_is_limited_alike(username: str, limited: Counts, hashed: list[str]) -> None:
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            accounts.log_in(username=username, password="wrong", address="192.0.2.1")
    with pytest.raises(RateLimited) as refused:
        accounts.log_in(username=username, password="right password", address="192.0.2.1")
    assert refused.value.extensions["retryAfter"] > 0
    assert len(hashed) == 3


def try_room(slug: str, password: str | None) -> Refusal | None:
    try:
        services.join_room(viewer=NOBODY, slug=slug, display_name="x", password=password, address="192.0.2.1")
    except Refusal as refusal:
        return refusal
    return None


@pytest.mark.django_db
def test_a_room_s_password_is_one_hash_whatever_the_room(hashed: list[str]) -> None:
    secret, hidden = make_room(RoomAccess.PASSWORD), make_room(RoomAccess.MEMBERS)
    hashed.clear()
    expected = {secret.slug: WrongPassword, hidden.slug: NotFound, "absent": NotFound, "no slug\0": NotFound}
    for slug, refusal in expected.items():
        assert type(try_room(slug, "wrong")) is refusal
        assert len(hashed) == 1, slug
        hashed.clear()
    assert type(try_room(secret.slug, "\ud800")) is WrongPassword
    assert len(hashed) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("access", [RoomAccess.PASSWORD, RoomAccess.MEMBERS, None])
def test_room_passwords_are_limited_alike_room_or_no_room(access: RoomAccess | None, limited: Counts) -> None:
    slug = make_room(access).slug if access else "absent"
    assert not any(isinstance(try_room(slug, "wrong"), RateLimited) for _ in range(3))
    assert isinstance(try_room(slug, PASSWORD), RateLimited)
    assert not isinstance(try_room(slug, None), RateLimited)


@pytest.mark.django_db
def test_former_slugs_and_capitals_give_no_more_guesses_at_a_room(limited: Counts) -> None:
    room = make_room(RoomAccess.PASSWORD, slug="books")
    access = RoomAccess(room.access)
    services.update_room(
        actor=OPERATOR, room_id=room.pk, slug="poems", name="Poems", description="", access=access, password=PASSWORD
    )
    assert [type(try_room(slug, "wrong")) for slug in ("poems", "Poems", "books")] == [WrongPassword] * 3
    for slug in ("poems", "POEMS", "books", "BOOKS"):
        assert isinstance(try_room(slug, PASSWORD), RateLimited)


@pytest.mark.django_db
def test_joining_without_a_guess_is_not_counted(limited: Counts) -> None:
    room = make_room()
    assert [try_room(room.slug, None) for _ in range(10)] == [None] * 10


# The admin


def log_in_to_admin(client: Client, password: str, address: str = "192.0.2.1") -> Any:
    form = {"username": "boss", "password": password}
    return client.post("/admin/login/", form, REMOTE_ADDR=address)


@pytest.mark.django_db
def test_the_admin_s_form_is_limited_and_says_so(limited: Counts) -> None:
    User.objects.create_superuser("boss", password="right password")
    answers = [log_in_to_admin(Client(), "wrong").content.decode() for _ in range(4)]
    assert ["Too many attempts. Try again in" in answer for answer in answers] == [False] * 3 + [True]
    assert "Too many" in log_in_to_admin(Client(), "right password", "192.0.2.2").content.decode()


@pytest.mark.django_db
def test_who_is_logged_in_stays_so_while_others_guess(limited: Counts) -> None:
    User.objects.create_superuser("boss", password="right password")
    client = Client()
    assert log_in_to_admin(client, "right password").status_code == 302
    for number in range(10):
        log_in_to_admin(Client(), "wrong", f"192.0.2.{number}")
    assert client.get("/admin/").status_code == 200


# Argon2


@pytest.mark.django_db
@override_settings(PASSWORD_HASHERS=ARGON2)
def test_old_hashes_are_replaced_at_the_next_login_and_the_next_join() -> None:
    user = User.objects.create(username="old", password=make_password("right password", hasher="md5"))
    room = make_room(RoomAccess.PASSWORD)
    Room.objects.filter(pk=room.pk).update(password=make_password(PASSWORD, hasher="md5"))
    accounts.log_in(username="old", password="right password", address=None)
    assert try_room(room.slug, PASSWORD) is None
    user.refresh_from_db()
    room.refresh_from_db()
    assert user.password.startswith("argon2$argon2id$")
    assert room.password.startswith("argon2$argon2id$")
    assert authenticate(None, username="old", password="right password") == user
    assert try_room(room.slug, PASSWORD) is None


def test_argon2_is_what_an_operator_gets() -> None:
    from config import settings as configured

    assert configured.PASSWORD_HASHERS[0].endswith(".Argon2PasswordHasher")
