"""grpc.aio's thread outlives every channel and server, as its end can hang (pool/polling)."""

from __future__ import annotations

import asyncio
import gc
import threading

import grpc.aio

import hivemind_worker.pool.channel  # noqa: F401 - as every user of grpc here does


def polling_threads() -> set[int]:
    return {t.ident or 0 for t in threading.enumerate() if "_poll_wrapper" in t.name}


async def open_and_close_a_server() -> None:
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await server.stop(0)


def test_the_polling_thread_stays_when_the_last_server_is_collected() -> None:
    before = polling_threads()
    asyncio.run(open_and_close_a_server())
    gc.collect()
    assert len(before) == 1
    assert polling_threads() == before
