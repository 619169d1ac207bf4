"""`python -m tests.benchmarks.plain_uploads ADDRESS FOLDER`: every file as a result, one call after another.

The least that a program must do to hand over results; no worker, no journal. Prints the seconds it took.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import hivemind_worker.pool  # noqa: F401 - sets what grpc reads when it is imported

import grpc.aio  # isort: skip
from hivemind_worker.pool.pb import nodepool_pb2 as pb

UPLOAD = "/nodepool.WorkerNodeService/TaskResultUpload"


async def main(address: str, folder: Path) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        upload = channel.unary_unary(
            UPLOAD, pb.TaskResultUploadRequest.SerializeToString, pb.TaskResultUploadResponse.FromString
        )
        await channel.channel_ready()
        began_s = time.perf_counter()
        for file in sorted(folder.iterdir()):
            await upload(
                pb.TaskResultUploadRequest(task_id=f"plain {file.name}", result_zip=file.read_bytes())
            )
        print(time.perf_counter() - began_s)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
