"""HiveMind Worker: lends this computer to a HiveMind pool.

Importing the package imports nothing else: the sandbox child starts through it
(`__main__`), and every millisecond of it is paid once a task.
"""

__version__ = "0.1.0"
