"""The one executable: app, command line, and the children that run sandboxed programs.

A frozen build has no other interpreter, so a child is this same program with a first
word that is dispatched before anything heavy is imported.
"""

import sys

SANDBOX_WORD = "--run-sandbox"
COMPILE_WORD = "--compile-sandbox"
KEEPER_WORD = "--run-keeper"
HELPER_WORD = "--vpn-helper"


def main() -> int:
    """Run one of the children or the command line; returns the exit code."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word == SANDBOX_WORD:
        from hivemind_worker.runtimes.wasm import child

        child.main(sys.argv[2:])
    if word == COMPILE_WORD:
        from hivemind_worker.runtimes.wasm import compiler

        return compiler.main(sys.argv[2:])
    if word == KEEPER_WORD:
        from hivemind_worker.nursery import keepers

        return keepers.main()
    if word == HELPER_WORD:
        from hivemind_worker.vpn import helper

        return helper.main()
    if sys.argv[1:] in ([], ["gui"]):  # as menus start it: the window is painted before all else
        from hivemind_worker.commands import first_picture

        if first_picture.has_display():
            first_picture.show()
    from hivemind_worker import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
