"""The pool as the worker meets it: what we call (client), what calls us (server), and the bytes between.

Nothing outside this package imports grpc. The engine meets it through `engine.ports.PoolLink`
and `pool.server.TaskHandler`; both sides speak values of `model`.
"""

import os

# Read once, when grpc is imported: child processes of the sandbox are started by exec, and
# the library's fork handlers would only print warnings; its own log lines go to standard
# error past our log, and every failure reaches us as a value anyway.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
