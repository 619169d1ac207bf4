"""Composition root: builds every part of a worker from its settings, starts and stops them in order.

`python -m hivemind_worker.worker_node` runs it headless. Here, and only here, adapters meet
the ports that they fit; nothing is decided here. `node` is the life, `parts` what it is made of,
`doors` where others come in, `facts` what is looked at again and again, `front` what front ends see.
"""

from hivemind_worker.worker_node.node import WorkerNode

__all__ = ["WorkerNode"]
