"""Fragments of SDP: what a client trickles, and how both ends tell each other of new ICE credentials.

A fragment has a session part and pseudo `m=` sections, with nothing but what ICE needs. Credentials stand in the
session part (as WHIP's clients write them) or in a section. What is not understood is ignored: unknown attributes
(RFC 8840 §9.2 asks for it), and the lines of a whole description, which some clients send instead.

A lite agent never checks the client's candidates: it learns of an address when a check comes from there. So they are
read to tell a client's mistake from its silence, counted, and forgotten.

Source: RFC 8840 §9.2, RFC 9725 §4.3.
"""

import re
from collections.abc import Iterable, Sequence

import attrs
from aioice import Candidate

from stun.lite import IceCredentials
from transceiver.calls import AnswerIngress
from transceiver.sdp.answering import candidate_value
from transceiver.sdp.description import MAX_LINE, SdpRefused
from transceiver.sdp.offer import check_ice_credentials

__all__ = ["MAX_CANDIDATES", "MAX_FRAGMENT", "Fragment", "parse_fragment", "serialize_fragment"]

MAX_FRAGMENT = 32 * 1024
"""Characters of a fragment; whip-web-client's, which repeats each candidate for every section, has some hundred."""

MAX_CANDIDATES = 100
"""Of one fragment; a client with four interfaces, two address families and TCP has some twenty."""

_DEFAULT_SECTION = "audio 9 UDP/TLS/RTP/SAVPF 0"

# What of the client's goes back to it is held to a narrower form than the grammar's.
_SECTION = re.compile(r"[a-z]{1,20} [0-9]{1,5} [A-Za-z/]{1,40}(?: [0-9A-Za-z-]{1,40}){1,64}")
_MID = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}")


@attrs.frozen(kw_only=True)
class Fragment:
    """What a client's fragment says.

    Attributes:
        credentials: the client's ICE credentials; None when it names none.
        section: value of its first `m=` line; empty without one.
        mid: of that section; empty without one.
        candidates: how many of its candidates could be read.
        unreadable: how many could not.
        is_end: no more candidates will follow.
    """

    credentials: IceCredentials | None
    section: str = ""
    mid: str = ""
    candidates: int = 0
    unreadable: int = 0
    is_end: bool = False


def parse_fragment(text: str) -> Fragment:
    """Read a client's fragment.

    Args:
        text: as it was sent, unchecked; lines end with CRLF or LF.

    Raises:
        SdpRefused: it has not the shape of a fragment, exceeds a bound, or half of the credentials is missing.
    """
    if len(text) > MAX_FRAGMENT:
        raise SdpRefused(f"the fragment has {len(text)} characters; at most {MAX_FRAGMENT} are read")
    found: dict[str, str] = {}  # of each name the first: an inner section's credentials are those of the transport
    candidates = unreadable = 0
    is_end = False
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        letter, separator, value = line[:1], line[1:2], line[2:]
        if not line:
            continue
        if separator != "=" or not letter.isalpha() or len(line) > MAX_LINE or not line.isprintable():
            raise SdpRefused(f"line {number} of the fragment is not of the form letter=value")
        if letter == "m":
            found.setdefault("m", value)
        if letter != "a":
            continue
        # RFC 8840 §9.2: a receiver MUST treat attributes as case-insensitive.
        name, _, rest = value.partition(":")
        match name.lower():
            case "ice-ufrag" | "ice-pwd" as name:
                found.setdefault(name, rest.strip())
            case "mid" if "m" in found:
                found.setdefault("mid", rest.strip())
            case "candidate":
                is_readable = _is_candidate(rest)
                candidates += is_readable
                unreadable += not is_readable
            case "end-of-candidates":
                is_end = True
            case _:
                pass  # RFC 8840 §9.2: unknown attributes MUST be ignored
        if candidates + unreadable > MAX_CANDIDATES:
            raise SdpRefused(f"the fragment has more than {MAX_CANDIDATES} candidates")
    return Fragment(
        credentials=_credentials(found.get("ice-ufrag"), found.get("ice-pwd")),
        section=_of_form(_SECTION, found.get("m")),
        mid=_of_form(_MID, found.get("mid")),
        candidates=candidates,
        unreadable=unreadable,
        is_end=is_end,
    )


def serialize_fragment(own: IceCredentials, ingresses: Sequence[AnswerIngress], theirs: Fragment) -> str:
    """Write our side of an ICE restart, with CRLF line ends.

    Args:
        own: our new credentials.
        ingresses: where the client can reach us, the preferred first.
        theirs: the client's fragment, whose section our candidates are for.
    """
    # RFC 9725 §4.3.3: what an answer said of ICE besides the credentials does not change. That it said trickle is
    # taken from the client's sending fragments.
    lines = ["a=ice-lite", "a=ice-options:trickle", f"a=ice-ufrag:{own.ufrag}", f"a=ice-pwd:{own.password}"]
    lines += _section_lines(theirs)
    lines += [f"a=candidate:{candidate_value(ingress)}" for ingress in ingresses]
    # RFC 8840 §8.2: all candidates are here; the client need not wait for more.
    lines.append("a=end-of-candidates")
    return "".join(f"{line}\r\n" for line in lines)


def _section_lines(theirs: Fragment) -> Iterable[str]:
    yield f"m={theirs.section or _DEFAULT_SECTION}"
    if theirs.mid:
        yield f"a=mid:{theirs.mid}"


def _credentials(ufrag: str | None, password: str | None) -> IceCredentials | None:
    if ufrag is None and password is None:
        return None
    if ufrag is None or password is None:
        raise SdpRefused("the fragment has one of a=ice-ufrag and a=ice-pwd, and not the other")
    check_ice_credentials(ufrag, password, "fragment")
    return IceCredentials(ufrag=ufrag, password=password)


def _of_form(form: re.Pattern[str], value: str | None) -> str:
    return value if value is not None and form.fullmatch(value) else ""


def _is_candidate(value: str) -> bool:
    if not value.strip():
        return True  # browsers' events end with an empty one, and some clients pass it on
    try:
        Candidate.from_sdp(value)
    except ValueError:
        return False
    return True
