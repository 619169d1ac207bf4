"""The pool on a NATS server: who may connect and what they may say there.

The pool's owner holds the keys (`authority`), signs a claim for each worker (`claims`, `subjects`) and
writes the server's configuration (`server_config`). Nothing that a worker may say reaches another worker.
"""
