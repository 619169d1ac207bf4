"""The one executable: app, command line and sandbox child.

A frozen build has no other interpreter, so the child of a task is this same
program with a first word that is dispatched before anything heavy is imported.
"""

import sys

SANDBOX_WORD = "--run-sandbox"


def main() -> int:
    """Run the sandbox child or the command line; returns the exit code."""
    if len(sys.argv) > 1 and sys.argv[1] == SANDBOX_WORD:
        from hivemind_worker.runtimes.wasm import child

        return child.main(sys.argv[2:])
    from hivemind_worker import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
