"""`python -m hivemind_worker.worker_node`: the worker without a window, as the original documents it."""

import runpy
import sys

sys.argv[1:1] = ["run"]
runpy.run_module("hivemind_worker", run_name="__main__")
