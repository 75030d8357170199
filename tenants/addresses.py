"""Where a request comes from, as far as that can be known."""

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, or "" where it cannot be known.

    What is left of our own proxies in X-Forwarded-For was written by the client, who may write anything. So the
    address is counted from the right: TRUSTED_PROXY_COUNT entries before the one that connected to us.
    """
    chain = [entry.strip() for entry in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if entry.strip()]
    chain.append(request.META.get("REMOTE_ADDR", ""))
    return _bare(chain[max(0, len(chain) - 1 - settings.TRUSTED_PROXY_COUNT)])


def _bare(entry: str) -> str:
    """Return an address in its one canonical spelling, without a port; "" for anything else."""
    for candidate in (entry, entry.rpartition(":")[0].strip("[]")):
        try:
            address = ip_address(candidate)
        except ValueError:
            continue
        return str(getattr(address, "ipv4_mapped", None) or address)
    return ""


def neighbourhood(address: str) -> str:
    """Return what one customer of a provider holds: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address
