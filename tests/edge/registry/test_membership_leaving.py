"""A process that is told to stop while it is still joining its fleet."""

import pytest
import trio

from edge.config.store import NodeConfig, StoreConfig
from edge.registry.membership import Membership


@pytest.mark.parametrize("turns", [0, 1, 5, 50, 500])
async def test_it_leaves_however_far_it_has_come(turns, tmp_path):
    membership = Membership(StoreConfig(url=f"unix://{tmp_path}/nobody"), NodeConfig(), lambda _name, _facts: None)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(membership.run)
            for _ in range(turns):
                await trio.sleep(0.0002)
            await membership.leave()
