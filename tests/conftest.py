"""Before all tests: grpc is imported the way the program does it, so that its own log lines stay quiet.

Two processes share the tests, file by file; what builds packages is one group, begun first, as it
shares one build and takes longest.
"""

import signal

import pytest

import hivemind_worker.pool  # noqa: F401

# A run in the background inherits that these are ignored, and would hand that on to every program it starts.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def group(item: pytest.Item) -> str:
        return "packaging" if item.path.parent.name == "packaging" else str(item.path)

    items.sort(key=lambda item: group(item) != "packaging")
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
