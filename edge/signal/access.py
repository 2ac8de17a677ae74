"""Who may knock.

Goal: with API keys, only who shows one can make a call. Without keys, only people at this machine can, so that trying
the server out needs no set-up and endangers nobody.

Attackers of the second kind of server are web pages that its user visits. A page can make the browser, which sits at
this machine, send requests. Three checks stand against that:

* the peer is a loopback address and no proxy speaks for somebody else;
* the Host header is a name of this machine: a page whose domain was re-pointed to 127.0.0.1 (DNS rebinding) is of the
  same origin as we are in the browser's eyes, but the Host header still carries its own domain;
* the Origin, where there is one, is ours or configured: a page of another origin cannot read the answer anyway, but
  must not be able to open calls either.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from edge.http.bearer import BearerKeys
from edge.http.messages import Request
from edge.signal import errors
from edge.signal.cors import CorsPolicy
from wire.core import Address

__all__ = ["Access", "host_of", "is_local"]

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to tell them from addresses that can be a Host
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Access:
    """The rules of one server.

    Args:
        api_keys: bearer keys; none for a server that serves only its own machine.
        cors: which pages may call.
        listen: the address listened on.
        allowed_hosts: further names of this server. Given together with keys, other names are refused as well.

    Raises:
        ValueError: a key is empty.
    """

    def __init__(
        self, *, api_keys: Iterable[str], cors: CorsPolicy, listen: Address, allowed_hosts: Iterable[str] = ()
    ) -> None:
        self._cors = cors
        self._hosts = {host.lower().rstrip(".") for host in allowed_hosts}
        self._names_matter = bool(self._hosts)
        if listen[0] not in _WILDCARDS:
            self._hosts.add(listen[0].lower())
        self._keys = BearerKeys(api_keys)

    @property
    def has_keys(self) -> bool:
        """Whether callers need a key."""
        return len(self._keys) > 0

    def check(self, request: Request) -> None:
        """Refuse who may not knock at all; keys are not looked at yet.

        Raises:
            RequestRefused: the peer, the Host or the Origin is not allowed.
        """
        if not self.has_keys and not is_local(request):
            raise errors.keyless_is_local()
        if self._names_matter or not self.has_keys:
            host = request.headers.get("host", "")
            name = host_of(host)
            if name not in self._hosts and not _is_loopback_name(name):
                raise errors.foreign_host(host)
        if not self._cors.allows(request):
            raise errors.foreign_origin(request.headers["origin"])

    def owner(self, request: Request) -> str:
        """Tell who asks: the digest of the key shown, or "" on a server without keys.

        Raises:
            RequestRefused: a key is needed, and none of ours was shown.
        """
        if not self.has_keys:
            return ""
        holder = self._keys.holder(request.headers.get("authorization", ""))
        if holder is None:
            raise errors.invalid_api_key()
        return holder


def is_local(request: Request) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it."""
    peer = request.peer[0]
    return (peer == "::1" or peer.startswith("127.")) and not any(name in request.headers for name in _PROXY_HEADERS)


def host_of(header: str) -> str:
    """Return the host of a Host header in lower case, without port, brackets and a final dot."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].rstrip(".").lower()


def _is_loopback_name(name: str) -> bool:
    # RFC 6761 §6.3: "localhost" and all below it are loopback for everybody.
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
