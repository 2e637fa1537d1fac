"""The bearer tokens: how they are kept, and each way in which one ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from rooms import tokens
from rooms.models import Token
from rooms.tokens import TOKENS_KEPT, USE_NOTED_SECONDS, issue_token, viewer_by_token, viewers_by_token
from tests.people import make_guest, make_room, make_staff
from tests.rooms.admin_pages import page, run_action

pytestmark = pytest.mark.django_db


def make_account(name: str = "rosa", password: str = "a long password") -> User:
    return User.objects.create_user(name, password=password)


def age(secret: str, **fields: object) -> None:
    Token.objects.filter(digest=tokens.digest_of(secret)).update(**fields)


def test_a_token_is_random_stored_hashed_and_its_holder_s() -> None:
    user = make_account()
    one, other = issue_token(user), issue_token(user)
    assert one.secret != other.secret
    assert len(one.secret) >= 43
    stored = str(list(Token.objects.values()))
    assert one.secret not in stored
    viewer = viewer_by_token(one.secret)
    assert viewer is not None
    assert (viewer.user, viewer.token, viewer.ends_at) == (user, one.secret, one.expires_at)


def test_it_expires_after_thirty_days_or_as_the_settings_say(settings: Settings) -> None:
    user = make_account()
    lifetime = issue_token(user).expires_at
    assert lifetime is not None
    assert abs(lifetime - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    settings.LIMITS = replace(settings.LIMITS, token_seconds=0)
    assert issue_token(user).expires_at is None


@pytest.mark.keeps("token_seconds")
@pytest.mark.exceeds("token_seconds")
@pytest.mark.parametrize(("seconds", "is_in_force"), [(99, True), (100, False), (101, False)])
def test_it_is_in_force_until_it_expires(seconds: int, is_in_force: bool, settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, token_seconds=100)
    now = timezone.now()
    with patch.object(timezone, "now", return_value=now):
        secret = issue_token(make_account()).secret
    with patch.object(timezone, "now", return_value=now + timedelta(seconds=seconds)):
        assert (viewer_by_token(secret) is not None) is is_in_force


def change_password(user: User) -> None:
    user.set_password("another password")
    user.save()


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def revoke(user: User) -> None:
    Token.objects.filter(user=user).delete()


@pytest.mark.parametrize("end", [change_password, deactivate, revoke])
def test_it_ends_with_what_it_rests_on(end: Callable[[User], None]) -> None:
    user = make_account()
    secret = issue_token(user).secret
    end(user)
    assert viewer_by_token(secret) is None


def test_it_outlives_a_change_of_the_secret_key_that_falls_back_on_the_old_one(settings: Settings) -> None:
    secret = issue_token(make_account()).secret
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key", [settings.SECRET_KEY]
    assert viewer_by_token(secret) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert viewer_by_token(secret) is None


def test_only_the_newest_of_a_holder_count_and_nobody_else_s_go() -> None:
    user, other = make_account(), make_account("other")
    of_other = issue_token(other).secret
    secrets = [issue_token(user).secret for _ in range(TOKENS_KEPT + 2)]
    assert [secret in viewers_by_token(secrets) for secret in secrets] == [False] * 2 + [True] * TOKENS_KEPT
    assert viewer_by_token(of_other) is not None


def test_expired_ones_of_a_holder_are_cleared_away() -> None:
    user = make_account()
    age(issue_token(user).secret, expires_at=timezone.now() - timedelta(seconds=1))
    issue_token(user)
    assert Token.objects.filter(user=user).count() == 1


def test_many_are_looked_up_in_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    secrets = [issue_token(make_account(f"user-{number}")).secret for number in range(5)]
    with django_assert_num_queries(1):
        assert len(viewers_by_token([*secrets, "nonsense"])) == 5


def test_its_use_is_written_down_every_few_minutes_and_not_more_often(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    secret, now = issue_token(make_account()).secret, timezone.now()
    age(secret, last_used_at=now - timedelta(seconds=USE_NOTED_SECONDS + 1))
    viewer_by_token(secret)
    assert Token.objects.get().last_used_at >= now  # type: ignore[operator]
    with django_assert_num_queries(1):
        viewer_by_token(secret)


# In the admin


def staff_client() -> Client:
    client = Client()
    staff = make_staff().user
    assert staff is not None
    client.force_login(staff)
    return client


def test_the_admin_lists_tokens_and_never_what_they_are() -> None:
    guest = make_guest(make_room(), "Lia")
    user = make_account()
    issued = issue_token(user)
    client = staff_client()
    token = Token.objects.get(user=user)
    for url in (page("token_changelist"), page("token_change", token.pk)):
        shown = client.get(url).content.decode()
        assert "rosa" in shown
        assert issued.secret not in shown
        assert token.digest not in shown
    assert "Lia" in client.get(page("token_changelist")).content.decode()
    assert guest.token is not None
    assert guest.token not in client.get(page("token_changelist")).content.decode()


def test_the_admin_revokes_tokens_and_does_nothing_else_to_them() -> None:
    user = make_account()
    kept, gone = issue_token(user).secret, issue_token(user).secret
    client, row = staff_client(), Token.objects.get(digest=tokens.digest_of(gone))
    assert "1 token was revoked." in run_action(client, "token", "revoke", row.pk)
    assert (viewer_by_token(kept) is not None, viewer_by_token(gone)) == (True, None)
    assert client.get(page("token_add")).status_code == 403
    assert client.post(page("token_change", Token.objects.get().pk), {"digest": "x"}).status_code == 403


def test_who_may_only_view_tokens_revokes_none() -> None:
    from django.contrib.auth.models import Permission

    secret = issue_token(make_account()).secret
    viewer = User.objects.create_user("looker", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_token"))
    client = Client()
    client.force_login(viewer)
    run_action(client, "token", "revoke", Token.objects.get().pk)
    assert viewer_by_token(secret) is not None


def test_thirty_days_is_the_default() -> None:
    assert settings.LIMITS.token_seconds == 30 * 24 * 3600
