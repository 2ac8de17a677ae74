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

An API key may do everything. A client secret (`edge.signal.client_secrets`) stands for the API key that minted it, but
for calls only: it makes them, and acts on those of its owner whose id it knows. It mints nothing, reads no metrics and
sees no fleet. Ids of calls are sealed and never listed, so one user's secret does not lead to another user's call. A
secret dies with its owner's key.

On a server without keys everything may be shown, also the placeholders that some clients insist on; but a client secret
that this server has minted keeps its meaning, so that what works here works the same with keys.
"""

import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address

import attrs

from edge.http.bearer import BearerKeys
from edge.http.messages import Request
from edge.signal import errors
from edge.signal.client_secrets import PREFIX, ClientSecret, ClientSecretKeys
from edge.signal.cors import CorsPolicy
from wire.core import Address

__all__ = ["Access", "Caller", "host_of", "is_local"]

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to tell them from addresses that can be a Host
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@attrs.frozen(kw_only=True)
class Caller:
    """Who asks, as far as a key tells.

    Attributes:
        owner: digest of the API key that was shown, or that minted the client secret that was; empty without keys.
        secret: the client secret that was shown; None when it was an API key, or nothing.
    """

    owner: str
    secret: ClientSecret | None = None


class Access:
    """The rules of one server.

    Args:
        api_keys: bearer keys; none for a server that serves only its own machine.
        cors: which pages may call.
        listen: the address listened on.
        allowed_hosts: further names of this server. Given together with keys, other names are refused as well.
        client_secrets: opens client secrets; None when none are minted here.
        unix_time: wall clock, for their expiry.

    Raises:
        ValueError: a key is empty.
    """

    def __init__(
        self,
        *,
        api_keys: Iterable[str],
        cors: CorsPolicy,
        listen: Address,
        allowed_hosts: Iterable[str] = (),
        client_secrets: ClientSecretKeys | None = None,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._cors = cors
        self._hosts = {host.lower().rstrip(".") for host in allowed_hosts}
        self._names_matter = bool(self._hosts)
        if listen[0] not in _WILDCARDS:
            self._hosts.add(listen[0].lower())
        self._keys = BearerKeys(api_keys)
        self._client_secrets = client_secrets
        self._unix_time = unix_time

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

    def caller(self, request: Request, key: str | None = None) -> Caller:
        """Tell who asks, by an API key or a client secret.

        Args:
            request: what was asked.
            key: the key, where it was not shown in a header of its own, as browsers cannot with a WebSocket.

        Raises:
            RequestRefused: a key is needed and none that is good was shown, or a client secret has expired.
        """
        authorization = _authorization(request) if key is None else f"Bearer {key}"
        owner = self._keys.holder(authorization)
        if owner is not None:
            return Caller(owner=owner)
        secret = self._secret(authorization)
        if self.has_keys and (secret is None or not self._keys.has_holder(secret.owner)):
            raise errors.invalid_api_key()
        if secret is not None and secret.expires_at <= self._unix_time():
            raise errors.token_expired()
        return Caller(owner=secret.owner if secret is not None and self.has_keys else "", secret=secret)

    def key_holder(self, request: Request) -> str:
        """Tell whose API key was shown: its digest, or "" on a server without keys.

        Raises:
            RequestRefused: a key is needed and none of ours was shown, or only a client secret was.
        """
        caller = self.caller(request)
        if caller.secret is not None:
            raise errors.api_key_needed()
        return caller.owner

    def operator(self, request: Request) -> str:
        """Let pass who shows an API key, and who asks on this machine by one of its own names.

        Returns:
            The digest of the API key; empty without one.

        Raises:
            RequestRefused: a key is needed and none of ours was shown, or only a client secret was.
        """
        is_here = is_local(request) and _is_loopback_name(host_of(request.headers.get("host", "")))
        return "" if is_here and not _authorization(request) else self.key_holder(request)

    def _secret(self, authorization: str) -> ClientSecret | None:
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if self._client_secrets is None or scheme.lower() != "bearer" or not key.startswith(PREFIX):
            return None
        return self._client_secrets.open(key)


def _authorization(request: Request) -> str:
    # Azure's clients have a header of their own for what is a bearer key everywhere else.
    key = request.headers.get("api-key")
    return request.headers.get("authorization") or ("" if key is None else f"Bearer {key}")


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
