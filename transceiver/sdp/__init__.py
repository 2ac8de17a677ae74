"""SDP: a browser's offer in, our answer out.

Read in this order:

* `description`  lines to sections and back, bounded, without any idea of what they mean (RFC 8866)
* `attributes`   what single attributes mean: codecs, header extensions, fingerprints, candidates
* `offer`        `parse_offer`: everything a call needs to know of an offer, or the reason why it is refused
* `negotiation`  `negotiate`: which codecs, extensions and roles the call gets; pure choice, no text
* `answering`    `answer`: the text that tells the client
* `fragment`     the few lines of an ICE restart or of trickled candidates (RFC 8840)

Nothing here opens a socket, mints a credential or starts a session: a refused offer has cost only its parsing.
"""

from transceiver.sdp.answering import MAX_MESSAGE_SIZE, answer
from transceiver.sdp.description import SdpRefused
from transceiver.sdp.negotiation import Negotiated, negotiate
from transceiver.sdp.offer import Offer, parse_offer

__all__ = ["MAX_MESSAGE_SIZE", "Negotiated", "Offer", "SdpRefused", "answer", "negotiate", "parse_offer"]
