"""When a relay holds a transceiver for dead: it was asked and asked again, said nothing, and the fault was not ours.

Goal: a transceiver that was killed, or that stands still, is suspected a third of a second after its last datagram, so
that its calls are heard again from another within a second. One that lives is not: not in an hour in which its
processor is busy to 90 %, and not because the relay itself stood still.

What a suspicion is worth: a SUSPECT to the other transceivers of the cluster (`relay.hop.warning`), of which each costs
them a probe. It ends no claim and moves none; only who has probed and has won in the store takes sessions over. So
a false one costs a datagram or two, and one that comes late costs a caller what he would have heard.

Signs of life are everything that counts on the link: clients' datagrams on their way down, and control messages.

    silent for                                        then
    0.075 s, and clients' datagrams came in the       PING, and again every 0.05 s
    last 5 s; or a PING of each second is late
    0.25 s, and 4 PINGs are overdue; 1 s where no     suspected; PING and HELLO every 0.25 s, as another process
    clients' datagrams came in the last 5 s           may be in its place, which only answers a HELLO
    any sign of life                                  trusted

A PING is *overdue* after the smoothed round trip and four times its variation (RFC 6298 §2), 0.04 s at least
(`relay.hop.health`). So a link across the world is waited for longer, and so is a transceiver whose loop is late: a
PING waits in its turn there, and PINGs are sent just when it is silent, so what is measured is how long it stands
still. Besides, whoever was silent for up to 0.375 s and came back has half as much time again as that took, up to 0.5 s
in all; that is forgotten by half in half a minute. Who was silent for longer has been taken for dead by others as well
(`transceiver.handover.takeover`) and has lost its calls: it was not busy but away, and how long somebody was away does
not tell how long he will be.

What is not its fault:

* *The relay stood still*, or its timer was late by more than 0.05 s. Then the silence counts from now on, and no PING
  of before counts. Processes that share a machine stand still together, and have a fresh start together.
* *Its answers wait in our socket.* The relay reads its socket to the end before it judges, and what it cannot read to
  the end it does not judge (`relay.worker`); likewise when the kernel says that it has lost something for us.
* *One datagram got lost.* It takes four PINGs or answers in a row, and all media meanwhile.

Attacker, *the wire* (`relay.hop.links`): it can drop everything, and the transceiver is suspected, which is right for
the clients of this relay; if the transceiver is heard elsewhere, its probe is answered. It can repeat a datagram of a
client's in the name of one that is dead, and delay the suspicion until the link is given up, as dropping all could.

ICMP is not listened to: it can be forged blindly, an error on a socket that talks to many costs somebody else a
datagram, and a worker's socket stays open when its process dies.

Numbers, counted from the last datagram of a busy link whose round trip is short: PINGs after 0.075 to 0.125 s, by the
tick of 0.05 s in which links are looked at; suspected 0.2 s after the first, so after 0.275 to 0.325 s. Of a link
without media: 0.925 s after the next PING of each second.
"""

import math

__all__ = [
    "ACTIVE_FOR",
    "IDLE_SILENCE",
    "LATE",
    "LEAST_SILENCE",
    "LONGEST_STALL",
    "MOST_SILENCE",
    "PROBE_AFTER",
    "TICK",
    "UNANSWERED",
    "Suspicion",
]

TICK = 0.05
"""How often links are looked at of which something is expected, in seconds; PINGs are as far apart."""
PROBE_AFTER = 0.075
"""Media has a datagram every 0.02 s, so this is no accident; and a PING costs little."""
ACTIVE_FOR = 5.0
"""So long after a client's datagram more of them are expected."""
UNANSWERED = 4
LEAST_SILENCE = 0.25
MOST_SILENCE = 0.5
IDLE_SILENCE = 1.0
"""Where nobody hears the silence there is time to be sure; an idle process on a busy machine is slow to wake up."""
LATE = 0.05
"""A relay that is late by more suspects nobody for what was before."""
_PATIENCE = 1.5
"""Whoever stood still and came back is given so many times that time."""
LONGEST_STALL = 0.375
"""A transceiver that is heard again within so many seconds still has its calls; see above."""
_HALF_LIFE = 30.0
_SUSPECT_INTERVAL = 0.25


class Suspicion:
    """Whether the process at the other end of a link that is up is held for dead.

    Args:
        now: the present; the link has just come up.

    Attributes:
        is_suspected: it is.
    """

    __slots__ = ("_asked", "_asks_again", "_since", "_stall", "_stall_ended", "is_suspected")

    def __init__(self, now: float) -> None:
        self.is_suspected = False
        self._since = now  # the last sign of life, or when silence began to count
        self._asked: list[float] = []  # when the PINGs left that nothing came after
        self._asks_again = False
        self._stall = 0.0
        self._stall_ended = now

    def hear(self, when: float) -> bool:
        """Take a sign of life; one that was known changes nothing.

        Returns:
            Whether it was away, so that how late it answers tells nothing of the link.
        """
        if when <= self._since:
            return False
        stall = self._silence(when)
        if self._asked and self._remembered_stall(when) <= stall <= LONGEST_STALL:
            self._stall, self._stall_ended = stall, when
        self._since = when
        self._asked = [asked for asked in self._asked if asked > when]
        self._asks_again = False
        self.is_suspected = False
        return stall > LONGEST_STALL

    def ask(self, now: float) -> None:
        """Note that a PING leaves."""
        self._asks_again = False
        del self._asked[UNANSWERED:]  # the first ones say how long it was asked, and the last one when to ask again
        self._asked.append(now)

    def excuse(self, now: float) -> None:
        """Count silence from now on: what was before may have been our fault."""
        self._since = max(self._since, now)
        self._asks_again = bool(self._asked)
        self._asked.clear()

    def wants_ping(self, now: float, *, is_active: bool, grace: float) -> bool:
        """Whether a PING is due, besides the one of each second.

        Args:
            now: the present.
            is_active: clients' datagrams came lately, so more are expected.
            grace: how long an answer may take.
        """
        if self._asks_again:
            return True
        if not self._asked:
            return is_active and now - self._since >= PROBE_AFTER
        pause = now - self._asked[-1]
        if self.is_suspected:
            return pause >= _SUSPECT_INTERVAL
        return pause >= (TICK / 2 if is_active or len(self._asked) > 1 else grace)

    @property
    def is_waiting(self) -> bool:
        """Whether it was asked something, or is to be asked, and was not heard since."""
        return bool(self._asked) or self._asks_again

    def is_convincing(self, now: float, *, is_active: bool, grace: float) -> bool:
        """Whether all is there that a suspicion takes, as far as is known; see `wants_ping` for the arguments."""
        if self.is_suspected or len(self._asked) < UNANSWERED:
            return False
        patience = min(max(LEAST_SILENCE, _PATIENCE * self._remembered_stall(now)), MOST_SILENCE)
        if not is_active:
            patience = IDLE_SILENCE
        return self._silence(now) >= patience and now - self._asked[UNANSWERED - 1] >= grace

    def suspect(self) -> None:
        """Hold it for dead, until it is heard."""
        self.is_suspected = True

    def _silence(self, now: float) -> float:
        """How long nothing came though something was expected."""
        if not self._asked:
            return 0.0
        return now - max(self._since, self._asked[0] - PROBE_AFTER)

    def _remembered_stall(self, now: float) -> float:
        return self._stall * math.exp2((self._stall_ended - now) / _HALF_LIFE)
