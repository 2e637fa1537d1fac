"""Whose word counts for where a client is."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pytest_django import Settings

from schema.addresses import client_address


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "wanted"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # who is no proxy of ours says what it likes
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),  # the first was written by the client
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),  # two proxies of ours
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        (None, "203.0.113.9", "203.0.113.9"),
        (None, None, None),
    ],
)
def test_only_proxies_of_ours_are_believed(
    settings: Settings, peer: str | None, forwarded_for: str | None, wanted: str | None
) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    assert client_address(peer, forwarded_for) == wanted


def test_without_trusted_proxies_nobody_is(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = []
    assert client_address("10.0.0.1", "203.0.113.9") == "10.0.0.1"
    assert client_address(None, "203.0.113.9") is None
