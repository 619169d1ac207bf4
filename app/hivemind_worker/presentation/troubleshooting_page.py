"""The documentation page of what can go wrong, made from the faults table (`make docs`)."""

from __future__ import annotations

from hivemind_worker.model.faults import FAULTS, Blame, Fault, FaultCode

HEAD = """# Troubleshooting

Made from the table in `model/faults.py` by `make docs`; do not edit.

Look in this order:

    hivemind-worker status              # why it works or does not, and what to do
    hivemind-worker doctor              # everything that a worker needs
    hivemind-worker doctor --sandbox    # a program tries to get out of each sandbox
    hivemind-worker story ID            # what happened to one task

The Doctor screen does the same, and saves a report without passwords, addresses or names that you can
read before you send it. An installed program that behaves oddly proves itself whole with
`hivemind-worker selftest`.

Docker: [docker.md](docker.md). The pool's network: [vpn.md](vpn.md). Below is every message by its code,
as the log, `--json` and the API name it, with what to do; "…" stands for the particulars.
"""
TITLES = {
    Blame.HOST: "This computer",
    Blame.OWNER: "Settings and commands",
    Blame.POOL: "The pool",
    Blame.NETWORK: "The network",
    Blame.TASK: "A task",
    Blame.BUG: "A fault of the program",
}


def troubleshooting_page() -> str:
    """The page as Markdown, ending with a newline."""
    return HEAD + "".join(_section(blame, title) for blame, title in TITLES.items())


def _section(blame: Blame, title: str) -> str:
    rows = "".join(_line(code, fault) for code, fault in FAULTS.items() if fault.blame is blame)
    return f"\n## {title}\n\n| Code | What it says | What to do | Exit code |\n|---|---|---|---|\n{rows}"


def _line(code: FaultCode, fault: Fault) -> str:
    return f"| `{code.value}` | {_shown(fault.sentence)} | {_shown(fault.next_step)} | {fault.exit_code} |\n"


def _shown(sentence: str) -> str:
    return sentence.replace("{about}", "…").replace("|", "\\|").replace("\n", " ")
