from __future__ import annotations

import pytest

from starpod.errors import InvalidInput
from starpod.net.addresses import check_url, is_listed, is_public


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "172.217.0.1", "2606:4700::1111"]
)
def test_machines_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",  # metadata
        "168.63.129.16",  # metadata, too
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
        "example.com",
        "",
    ],
)
def test_everything_else_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url", ["http://example.com", "HTTPS://example.com:8443/a?b=c#d", "http://[::1]:80/", " http://x.example/ "]
)
def test_http_urls_pass(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "Invalid URL"),
        ("example.com", "Invalid URL"),
        ("/etc/passwd", "Invalid URL"),
        ("http://", "Invalid URL"),
        ("http:///path", "Invalid URL"),
        ("http://[::1", "Invalid URL"),
        ("http://a:99999/", "Invalid URL"),
        ("http://a:0/", "Invalid URL"),
        ("http://a b/", "Invalid URL"),
        ("http://a/\r\nHost: b", "Invalid URL"),
        ("http://a/" + "x" * 9000, "Invalid URL"),
        ("ftp://a/", "Only http and https URLs are allowed"),
        ("file:///etc/passwd", "Only http and https URLs are allowed"),
        ("javascript:alert(1)", "Only http and https URLs are allowed"),
        ("data:text/html,x", "Only http and https URLs are allowed"),
        ("http://x@127.0.0.1/", "URLs with a user name or password are not allowed"),
        ("http://user:secret@example.com/", "URLs with a user name or password are not allowed"),
    ],
)
def test_other_urls_are_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_url(url)
    assert str(caught.value) == reason


def test_a_listed_host_holds_for_all_its_ports_unless_one_is_named() -> None:
    assert is_listed("wiki.local", 80, ["wiki.local"])
    assert is_listed("WIKI.local", 8080, ["wiki.local:8080"])
    assert not is_listed("wiki.local", 80, ["wiki.local:8080"])
    assert not is_listed("evil.wiki.local", 80, ["wiki.local"])
    assert is_listed("::1", 80, ["[::1]:80"])
    assert not is_listed("::1", 81, ["[::1]:80"])
