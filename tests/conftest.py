"""Before all tests: grpc is imported the way the program does it, so that its own log lines stay quiet."""

import hivemind_worker.pool  # noqa: F401
