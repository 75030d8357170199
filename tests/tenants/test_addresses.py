import pytest

from tenants.addresses import client_address, neighbourhood


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, None, "198.51.100.1"),
        (0, "203.0.113.9", "198.51.100.1"),  # Nobody is trusted: the header is the client's own invention.
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.6.6.6, 203.0.113.9", "203.0.113.9"),  # The left part was there before our proxy saw it.
        (2, "10.6.6.6, 203.0.113.9, 192.0.2.1", "203.0.113.9"),
        (2, "203.0.113.9", "203.0.113.9"),  # Fewer entries than proxies: no further left than there is.
        (1, None, "198.51.100.1"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "unknown", ""),
        (1, " , ", "198.51.100.1"),
    ],
)
def test_the_client_is_counted_from_the_right(rf, settings, proxies, forwarded, expected):
    settings.TRUSTED_PROXY_COUNT = proxies
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert client_address(rf.get("/", REMOTE_ADDR="198.51.100.1", **headers)) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [("203.0.113.9", "203.0.113.9"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("", ""), ("nonsense", "")],
)
def test_whoever_holds_an_ipv6_network_is_one_neighbour(address, expected):
    assert neighbourhood(address) == expected
