"""What a PATCH of a call means: candidates of the client's, or an ICE restart.

Every generation of ICE credentials has an entity tag, which follows from our username fragment, so that nobody has to
remember it. A client that has not sent `If-Match`, or has lost the tag, is believed when its fragment names the
credentials that the call has:

| the client's credentials     | `If-Match`          | what happens                                          |
|------------------------------|---------------------|-------------------------------------------------------|
| the call's, or none at all   | none, or the tag    | candidates are counted: 204                           |
| the call's                   | `*`                 | the restart has been made already: 200, as before     |
| others                       | `*`                 | an ICE restart: 200 with our new credentials          |
| others                       | none, or the tag    | 412: they were the call's once, or never              |
| any                          | another tag         | 412                                                   |
| none                         | `*`                 | 400: a restart names them                             |

The second row makes a restart whose answer was lost harmless to repeat, for the client and for whoever stands between.

DEVIATES: RFC 9725 §4.3.1 wants 428 where there is no `If-Match`. Clients that cannot read our ETag across origins send
none, and give up when they are told so.

Source: RFC 9725 §4.3.
"""

import hashlib
from collections.abc import Callable

from stun.lite import IceCredentials
from transceiver.calls import FragmentRefused, IceSessionChanged, IceUpdate, IceUpdated
from transceiver.sdp import SdpRefused
from transceiver.sdp.fragment import Fragment, parse_fragment, serialize_fragment
from transceiver.session import Session

__all__ = ["ice_tag", "update_ice"]

_TAG_LENGTH = 16


def ice_tag(session: Session) -> str:
    """Return the entity tag of the present ICE credentials, without quotes."""
    digest = hashlib.sha256(b"trio-voice ice session " + session.ice.local.ufrag.encode())
    return digest.hexdigest()[:_TAG_LENGTH]


def update_ice(session: Session, update: IceUpdate, mint: Callable[[], IceCredentials]) -> IceUpdated:
    """Do what a PATCH asks.

    Args:
        session: the call's.
        update: what was sent.
        mint: makes new credentials that lead to this session; asked for a restart only.

    Raises:
        FragmentRefused: the fragment is none, or a restart without credentials.
        IceSessionChanged: it is about other credentials than the call has.
        Overloaded: `mint` has been asked too often.
    """
    try:
        fragment = parse_fragment(update.fragment)
    except SdpRefused as error:
        raise FragmentRefused(str(error)) from error
    tag = ice_tag(session)
    is_present = fragment.credentials is None or fragment.credentials == session.ice.remote
    if update.is_restart:
        return _restart(session, update, fragment, mint)
    if update.tag not in (None, tag):
        raise IceSessionChanged("The call's ICE session is another one than If-Match names.")
    if not is_present:
        raise IceSessionChanged(
            "The fragment names other ICE credentials than the call has. An ICE restart is asked for with If-Match: *."
        )
    # RFC 9725 §4.3.2: candidates that do not resolve, or are of no use, are ignored in silence.
    return IceUpdated(tag=tag, candidates=fragment.candidates, unreadable=fragment.unreadable, is_end=fragment.is_end)


def _restart(session: Session, update: IceUpdate, fragment: Fragment, mint: Callable[[], IceCredentials]) -> IceUpdated:
    remote = fragment.credentials
    if remote is None:
        raise FragmentRefused("an ICE restart names the client's new a=ice-ufrag and a=ice-pwd")
    if remote != session.ice.remote:
        session.restart_ice(mint(), remote)
    return IceUpdated(
        tag=ice_tag(session),
        fragment=serialize_fragment(session.ice.local, update.ingresses, fragment),
        candidates=fragment.candidates,
        unreadable=fragment.unreadable,
        is_end=fragment.is_end,
    )
