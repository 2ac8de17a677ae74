"""The caller's side of an ICE restart: a fragment of SDP like a WHIP client's, and what it needs of the server's.

Source: RFC 9725 §4.3.3, RFC 8840 §9.2.
"""

import attrs

from edge.caller.description import MID_VALUE, AnswerUnusable, Candidate, read_candidates
from transceiver.sdp.description import SdpRefused, first, parse_description

__all__ = ["RestartAnswer", "read_fragment", "write_fragment"]


@attrs.frozen(kw_only=True)
class RestartAnswer:
    """What the server says to a restart.

    Attributes:
        ice_ufrag: the server's new ICE user name fragment.
        ice_pwd: the server's new ICE password.
        candidates: where to reach it, the best first.
    """

    ice_ufrag: str
    ice_pwd: str = attrs.field(repr=False)
    candidates: tuple[Candidate, ...]


def write_fragment(ice_ufrag: str, ice_pwd: str) -> str:
    """Tell of our new credentials; candidates of ours a lite server learns from our checks."""
    lines = (
        f"a=ice-ufrag:{ice_ufrag}",
        f"a=ice-pwd:{ice_pwd}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{MID_VALUE}",
        "a=end-of-candidates",
    )
    return "".join(f"{line}\r\n" for line in lines)


def read_fragment(text: str, *, over_tcp: bool = False) -> RestartAnswer:
    """Read the server's fragment.

    Args:
        text: as it came.
        over_tcp: whether TCP candidates are wanted instead of those for UDP.

    Raises:
        AnswerUnusable: it is none, or says too little.
    """
    try:
        session = parse_description("v=0\r\n" + text)
    except SdpRefused as error:
        raise AnswerUnusable(str(error)) from error
    ufrag, pwd = first(session, "ice-ufrag"), first(session, "ice-pwd")
    if not ufrag or not pwd or not session.media:
        raise AnswerUnusable("the server's fragment has no ICE credentials, or no section")
    candidates = read_candidates(session.media[0], over_tcp=over_tcp)
    return RestartAnswer(ice_ufrag=ufrag, ice_pwd=pwd, candidates=candidates)
