"""Before all tests: grpc is imported the way the program does it, so that its own log lines stay quiet."""

import signal

import hivemind_worker.pool  # noqa: F401

# A run in the background inherits that these are ignored, and would hand that on to every program it starts.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
