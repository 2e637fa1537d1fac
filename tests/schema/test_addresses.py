"""Whose word counts for where a client is."""

from __future__ import annotations

import logging
from ipaddress import ip_network

import pytest
from pytest_django import Settings

from schema import addresses
from schema.addresses import client_address, client_of


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
        ("10.0.0.1", "198.51.100.1:51081", "198.51.100.1"),  # as Azure's gateway writes it
        ("10.0.0.1", "198.51.100.1:", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:51081", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", '"[2001:db8::1]:51081"', "2001:db8::1"),
        ("10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "[fe80::1%25eth0]:1", "fe80::1"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9,", "203.0.113.9"),
        ("10.0.0.1", " , 203.0.113.9 , ,", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:1, 10.0.0.2:2", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, _hidden", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "010.0.0.300", "10.0.0.1"),
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


@pytest.fixture
def proxies(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    monkeypatch.setattr(addresses, "_complained", set())


@pytest.mark.usefixtures("proxies")
@pytest.mark.parametrize(
    ("headers", "address", "scheme"),
    [
        ({"forwarded": "for=203.0.113.9"}, "203.0.113.9", None),
        ({"forwarded": "for=203.0.113.9;proto=https;by=10.0.0.1"}, "203.0.113.9", "https"),
        ({"forwarded": 'For="[2001:db8::1]:4711"; Proto=HTTPS'}, "2001:db8::1", "https"),
        ({"forwarded": 'for="198.51.100.1:51081", for=10.0.0.2;proto=http'}, "198.51.100.1", "http"),
        ({"forwarded": "for=198.51.100.7;proto=https, for=203.0.113.9;proto=http"}, "203.0.113.9", "http"),
        ({"forwarded": "for=203.0.113.9;proto=https, for=10.0.0.2;proto=http"}, "203.0.113.9", "https"),
        ({"forwarded": 'for="_a,b";host="x\\"y;z", for=203.0.113.9,'}, "203.0.113.9", None),
        ({"forwarded": "for=unknown"}, "10.0.0.1", None),
        ({"x-real-ip": "203.0.113.9"}, "203.0.113.9", None),
        ({"x-real-ip": "[2001:db8::1]:80", "x-forwarded-proto": "https"}, "2001:db8::1", "https"),
        ({"x-forwarded-for": "203.0.113.9", "forwarded": "for=198.51.100.7;proto=https"}, "203.0.113.9", None),
        ({"x-forwarded-for": "203.0.113.9", "x-real-ip": "198.51.100.7"}, "203.0.113.9", None),
        ({"x-forwarded-proto": "https", "forwarded": "for=198.51.100.7;proto=http"}, "10.0.0.1", "https"),
        ({"x-forwarded-proto": "HTTPS"}, "10.0.0.1", "https"),
        ({"x-forwarded-proto": " https , http"}, "10.0.0.1", "https"),
        ({"x-forwarded-proto": "wss"}, "10.0.0.1", "https"),
        ({"x-forwarded-for": "203.0.113.9, 10.0.0.2", "x-forwarded-proto": "https,http"}, "203.0.113.9", "https"),
        ({"x-forwarded-for": "1.1.1.1, 203.0.113.9", "x-forwarded-proto": "https,http"}, "203.0.113.9", "http"),
        ({"x-forwarded-proto": ""}, "10.0.0.1", None),
        ({}, "10.0.0.1", None),
    ],
    ids=str,
)
def test_what_a_trusted_proxy_says(headers: dict[str, str], address: str, scheme: str | None) -> None:
    assert client_of("10.0.0.1", headers.get) == (address, scheme)
    assert client_of("192.0.2.1", headers.get) == ("192.0.2.1", None)


@pytest.mark.usefixtures("proxies")
@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"x-forwarded-for": "unknown"}, "names a client that has no address, 'unknown'"),
        ({"x-forwarded-for": "x" * 500}, f"names a client that has no address, '{'x' * 100}'"),
        ({"x-real-ip": "a\nb"}, "names a client that has no address, 'a\\nb'"),
        ({"forwarded": "nonsense"}, "sends a Forwarded that is none, 'nonsense'"),
        ({"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "quic"}, "names a scheme that is none, 'quic'"),
        ({}, "does not say whose requests it passes on"),
    ],
    ids=str,
)
def test_what_nobody_can_read_is_logged_once(
    headers: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        client_of("10.0.0.1", headers.get)
    (record, *others) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"The trusted proxy 10.0.0.1 {said}" in record.getMessage()
    assert "X-Forwarded-For" in record.getMessage()
    assert len(others) == ("forwarded" in headers)


@pytest.mark.usefixtures("proxies")
def test_what_others_say_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    client_of("192.0.2.1", {"x-forwarded-for": "nonsense", "forwarded": "nonsense"}.get)
    assert not caplog.records
