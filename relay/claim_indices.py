"""The two ways to find claims that need more than a dict: by where datagrams come from, and by session.

Both are made for tens of thousands of flows with one claim each, and sessions with one flow each; the rest is the
exception, and pays for itself.
"""

from collections.abc import Sequence

from relay.claims import Claim, ClaimState

__all__ = ["ClaimsBySession", "ClaimsBySource"]


class ClaimsBySource:
    """Who has claims on a client's address, and who gets what comes from there.

    A source is a client's address as the kernel spells it (`relay.sockaddr`).

    Args:
        ingresses: numbers of the ingresses.

    Attributes:
        single: by ingress and source, the claim that gets what comes from there, where it is a single one.
    """

    def __init__(self, ingresses: Sequence[int]) -> None:
        self.single: dict[int, dict[bytes, Claim]] = {ingress: {} for ingress in ingresses}
        # Sources with more claims than one; where exactly one of them is proven, it stands in `single` too.
        self._contested: dict[int, dict[bytes, tuple[Claim, ...]]] = {ingress: {} for ingress in ingresses}

    def __len__(self) -> int:
        """How many sources are claimed."""
        return sum(
            len(single) + sum(source not in single for source in self._contested[ingress])
            for ingress, single in self.single.items()
        )

    def targets(self, ingress: int, source: bytes) -> Sequence[Claim]:
        """The claims that get what comes from a source: those that are proven, or all if none is."""
        claim = self.single[ingress].get(source)
        return self._contested[ingress].get(source, ()) if claim is None else (claim,)

    def claims(self, ingress: int, source: bytes) -> Sequence[Claim]:
        """All claims on a source, the oldest first."""
        return self._contested[ingress].get(source) or self.targets(ingress, source)

    def add(self, claim: Claim) -> None:
        """Enter a new claim."""
        ingress, source = claim.ingress, claim.sockaddr
        self._enter(ingress, source, (*self.claims(ingress, source), claim))

    def remove(self, claim: Claim) -> None:
        """Take a claim out."""
        ingress, source = claim.ingress, claim.sockaddr
        self._enter(ingress, source, tuple(other for other in self.claims(ingress, source) if other is not claim))

    def state_changed(self, claim: Claim) -> None:
        """Choose anew who gets what comes from a claim's source."""
        if (claims := self._contested[claim.ingress].get(claim.sockaddr)) is not None:
            self._enter(claim.ingress, claim.sockaddr, claims)

    def _enter(self, ingress: int, source: bytes, claims: tuple[Claim, ...]) -> None:
        targets = claims
        if len(claims) > 1:
            self._contested[ingress][source] = claims
            targets = tuple(claim for claim in claims if claim.state is ClaimState.PROVEN)
        else:
            self._contested[ingress].pop(source, None)
        if len(targets) == 1:
            self.single[ingress][source] = targets[0]
        else:
            self.single[ingress].pop(source, None)


class ClaimsBySession:
    """A session's claims: a hash table that is chained through the claims, in a fifth of the memory of a dict.

    Session numbers are random, so their low bits spread well.

    Args:
        max_claims: how many claims there are at most.
    """

    def __init__(self, max_claims: int) -> None:
        self._first: list[Claim | None] = [None] * (1 << max_claims.bit_length())

    def claims(self, session: int) -> Sequence[Claim]:
        """All claims of a session, the newest first."""
        found = []
        claim = self._first[session % len(self._first)]
        while claim is not None:
            if claim.session == session:
                found.append(claim)
            claim = claim.next
        return found

    def add(self, claim: Claim) -> None:
        """Enter a new claim."""
        slot = claim.session % len(self._first)
        claim.next, self._first[slot] = self._first[slot], claim

    def remove(self, claim: Claim) -> None:
        """Take a claim out."""
        slot = claim.session % len(self._first)
        before = self._first[slot]
        if before is claim:
            self._first[slot] = claim.next
        while before is not None:
            if before.next is claim:
                before.next = claim.next
            before = before.next
        # Whoever still holds it shall not hold what came after it.
        claim.next = None
