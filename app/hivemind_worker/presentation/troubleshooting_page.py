"""The documentation page of what can go wrong, made from the faults table (`make docs`)."""

from __future__ import annotations

from hivemind_worker.model.faults import FAULTS, Blame, Fault, FaultCode

HEAD = """# Troubleshooting

Look in this order:

    hivemind-worker status              # why it works or does not, and what to do
    hivemind-worker doctor              # everything that a worker needs
    hivemind-worker doctor --sandbox    # a program tries to get out of each sandbox
    hivemind-worker story ID            # what happened to one task

![The Doctor screen](pictures/doctor-dark-en.png)

The Doctor screen does the same, and saves a report without passwords, addresses or names that you can
read before you send it. An installed program that behaves oddly proves itself whole with
`hivemind-worker selftest`.

[Docker](#docker), [VPN](#vpn), [too little of something](#too-little-of-something) and
[tasks that fail](#tasks-that-fail) come first; then every message by its code, as the log, `--json`
and the API name it, with what to do; "…" stands for the particulars.

## Docker

    systemctl status docker             # is it running?
    sudo systemctl restart docker       # tasks that ran in it end, and are reported
    sudo usermod -aG docker $USER       # may you use it? then sign in again

Members of the group `docker` can do all that root can. Without it the built-in sandbox is used, which needs
nothing: [Tasks in Docker](docker.md).

## VPN

    hivemind-worker vpn check           # eleven checks from the bottom up, the first that fails with its cure
    sudo wg show                        # a handshake in the last three minutes?
    sudo systemctl restart wg-quick@wg0 # where you manage WireGuard yourself
    ip route | grep 10.0.0              # does the pool's network go through the tunnel?

More: [The pool's network](vpn.md).

## Too little of something

    hivemind-worker status              # what is lent, and what tasks hold of it
    curl -H "Authorization: Bearer $(hivemind-worker config token)" http://127.0.0.1:5000/api/resources

answers what is free of processor, memory and disk. What is lent: `max_cpu_cores`, `max_memory_gb` and
`max_concurrent_tasks` in [Settings](settings.md), and the [Rules](rules.md) of the hour.

## Tasks that fail

    hivemind-worker story ID            # what happened, the name of its container, its folder
    hivemind-worker logs ID             # what it printed
    docker logs NAME                    # while its container is there

*History* says whose fault failures were: this computer's, the task's, the pool's or the network's.
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
