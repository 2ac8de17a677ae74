"""What all three tiers have in common."""

from typing import TYPE_CHECKING, Protocol

import attrs
import trio

from edge.config.model import Config
from edge.keys import Bundle
from edge.metrics import Metrics
from edge.reports import Report

if TYPE_CHECKING:
    from edge.registry.describing import Node
    from edge.registry.member import Member
    from edge.registry.membership import Membership

__all__ = ["Surroundings", "Tier"]


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a tier is given by the process that it runs in.

    Attributes:
        metrics: of the whole process.
        report: takes what happened, for the log.
        membership: the process's part in its fleet; None without a store.
    """

    metrics: Metrics
    report: Report
    membership: "Membership | None" = None


class Tier(Protocol):
    """A tier that runs in this process. Making it opens nothing."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped. Started with `nursery.start`, it returns when its addresses are bound.

        Raises:
            StartError: an address cannot be bound.
        """

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration and keys; what needs a restart is the same in both configurations."""

    async def stop(self) -> None:
        """Finish what is under way, within seconds, or as long as it may take by its configuration; `run` returns."""

    def not_ready_reason(self) -> str:
        """Tell why it cannot do its work now; empty when it can."""

    def describe(self) -> str:
        """Tell people where it can be reached, in one line."""

    def describe_member(self, node: "Node") -> "Member":
        """Tell the fleet what it is and how it is."""
