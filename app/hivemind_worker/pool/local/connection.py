"""Whether a channel connects: told as soon as it is known, not at the end of a wait."""

from __future__ import annotations

import asyncio

import grpc


async def is_connected(channel: grpc.aio.Channel, limit_s: float) -> bool:
    """Connect; False on the first failure of all its addresses, or after `limit_s`."""
    try:
        async with asyncio.timeout(limit_s):
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.READY:
                if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
                    return False
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        return False
    return True
