"""From an offer to a session that waits for its client, and the answer that tells the client so.

Here a call gets its names: a session number, drawn at random; the ICE credentials that carry it to our address
through any relay; and a call id that says the same under another key.
"""

import functools
from collections.abc import Callable, Sequence

import attrs

from dtls.certificate import Certificate
from dtls.options import DtlsOptions, Role
from stun.credentials import CredentialKeys, Route
from stun.lite import IceCredentials
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.call_ids import CallIdKeys
from transceiver.calls import AnswerIngress, OfferRefused, Overloaded
from transceiver.media_description import MediaDescription
from transceiver.options import SessionOptions
from transceiver.sdp import MAX_MESSAGE_SIZE, Negotiated, SdpRefused, answer, negotiate, parse_offer
from transceiver.session import Session
from transceiver.session_events import DataDescription, RemoteDescription
from wire.core import Entropy

__all__ = ["Accepted", "Intake"]

_CERTIFICATE_DAY = 86400.0
"""A certificate is used for new calls this long, in seconds. It could be longer, as it is valid for 30 days and nobody
looks; but a key that leaks should be worth little."""

_MOST_IN_ADVANCE = 30
"""Seconds; relays take tokens from two minutes ahead, by clocks that may be apart themselves."""

_DTLS_OPTIONS = DtlsOptions()


@attrs.frozen(kw_only=True)
class Accepted:
    """A call that was made of an offer.

    Attributes:
        call_id: what signal calls it.
        session_id: what tokens and hop headers call it.
        session: waits for its client.
        answer: the SDP answer.
    """

    call_id: str
    session_id: int
    session: Session
    answer: str


class Intake:
    """Turns offers into sessions.

    Args:
        cluster: number of the cluster, for routes.
        incarnation: random number of this process, for routes.
        worker: number of the worker within it, for routes.
        credential_keys: to mint the ICE credentials that route; may be replaced at any time.
        call_id_keys: to mint call ids; may be replaced at any time.
        entropy: source of unpredictable bytes.
        unix_time: wall clock.
    """

    def __init__(
        self,
        *,
        cluster: int,
        incarnation: int,
        worker: int,
        credential_keys: CredentialKeys,
        call_id_keys: CallIdKeys,
        entropy: Entropy,
        unix_time: Callable[[], float],
    ) -> None:
        self.credential_keys = credential_keys
        self.call_id_keys = call_id_keys
        self._place = (cluster, incarnation, worker)
        self._entropy = entropy
        self._unix_time = unix_time
        self._renew_certificate(unix_time())

    def accept(
        self,
        offer: str,
        ingresses: Sequence[AnswerIngress],
        options: SessionOptions,
        now: float,
        *,
        speech: SpeechQueue | None = None,
        hears_at: int = 24000,
    ) -> Accepted:
        """Answer an offer.

        Args:
            offer: the client's SDP.
            ingresses: relay addresses for the answer, the preferred one first.
            options: bounds and times of the call.
            now: monotonic seconds.
            speech: what is to be said to the caller, for a call with a voice; None for one with an echo.
            hears_at: sample rate in Hz of the PCM that is made of the caller's audio.

        Raises:
            OfferRefused: the offer cannot be answered.
        """
        try:
            negotiated = negotiate(parse_offer(offer))
        except SdpRefused as error:
            raise OfferRefused(str(error)) from error
        unix_time = self._unix_time()
        if unix_time >= self._certificate_ends:
            self._renew_certificate(unix_time)
        session_id = int.from_bytes(self._entropy(8), "big")
        route = self._route(session_id, int(unix_time))
        own = self._credentials(route)
        media = MediaDescription.create(negotiated, self._entropy)
        session = Session(
            ufrag=own.ufrag,
            password=own.password,
            remote=RemoteDescription(
                ufrag=negotiated.offer.ice_ufrag,
                password=negotiated.offer.ice_pwd,
                fingerprints=negotiated.offer.fingerprints,
            ),
            media=media,
            data=_data_description(negotiated),
            dtls_role=Role.CLIENT if negotiated.setup == "active" else Role.SERVER,
            certificate=self._certificate,
            entropy=self._entropy,
            now=now,
            unix_time=unix_time,
            options=options,
            dtls_options=_dtls_options(negotiated),
            speech=speech,
            hears_at=hears_at,
        )
        text = answer(
            negotiated,
            ice_ufrag=own.ufrag,
            ice_pwd=own.password,
            fingerprint=self._fingerprint,
            setup=negotiated.setup,
            candidates=ingresses,
            session_id=session_id >> 1,  # RFC 8866 §5.2: numeric; implementations want it to fit 63 bits
            ssrc=media.ssrc,
            cname=media.cname,
            msid=media.msid,
        )
        return Accepted(call_id=self.call_id_keys.mint(route), session_id=session_id, session=session, answer=text)

    def mint_again(self, session_id: int, present: IceCredentials) -> IceCredentials:
        """Make other credentials that lead to the same session, for an ICE restart.

        A fragment says when it was minted, to the second, and nothing else in it can differ: so one that follows
        within the same second is minted in advance, and no more of them than clocks may be apart.

        Args:
            session_id: what tokens call the session.
            present: the credentials that it has.

        Raises:
            Overloaded: there were too many restarts in too short a time.
        """
        minted = int(self._unix_time())
        before = self.credential_keys.open(present.ufrag)
        if before is not None and before.minted >= minted:
            if before.minted >= minted + _MOST_IN_ADVANCE:
                raise Overloaded(float(before.minted - minted - _MOST_IN_ADVANCE + 1))
            minted = before.minted + 1
        return self._credentials(self._route(session_id, minted))

    def _route(self, session_id: int, minted: int) -> Route:
        cluster, incarnation, worker = self._place
        return Route(cluster=cluster, incarnation=incarnation, worker=worker, session=session_id, minted=minted)

    def _credentials(self, route: Route) -> IceCredentials:
        ufrag = self.credential_keys.mint(route)
        return IceCredentials(ufrag=ufrag, password=self.credential_keys.password(ufrag))

    @property
    def certificate(self) -> Certificate:
        """The one that calls are made with now."""
        return self._certificate

    @property
    def dtls_options(self) -> DtlsOptions:
        """Timers and sizes of DTLS."""
        return _DTLS_OPTIONS

    def _renew_certificate(self, unix_time: float) -> None:
        self._certificate = Certificate.generate(unix_time=unix_time)
        self._fingerprint = str(self._certificate.fingerprint())
        self._certificate_ends = unix_time + _CERTIFICATE_DAY


def _data_description(negotiated: Negotiated) -> DataDescription | None:
    data = negotiated.offer.data
    if data is None:
        return None
    # We send no message that is longer than what we take.
    return DataDescription(max_message_size=min(data.max_message_size or MAX_MESSAGE_SIZE, MAX_MESSAGE_SIZE))


def _dtls_options(negotiated: Negotiated) -> DtlsOptions:
    # What a ClientHello of ours offers depends on the client (`negotiate` says why); as a server we choose ourselves.
    return _client_options(negotiated.srtp_profiles) if negotiated.setup == "active" else _DTLS_OPTIONS


@functools.lru_cache(maxsize=8)  # `negotiate` chooses among few
def _client_options(srtp_profiles: tuple[int, ...]) -> DtlsOptions:
    return attrs.evolve(_DTLS_OPTIONS, srtp_profiles=srtp_profiles)
