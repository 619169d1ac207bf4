"""What a sandbox must keep closed, a row each: the probe's word for it and ours. Data alone."""

from __future__ import annotations

DOORS: dict[str, str] = {
    "capabilities": "no rights of the superuser",
    "no_new_privileges": "no new rights by starting a program",
    "call_filter": "a filter of system calls is in force",
    "user": "an unprivileged user",
    "become_root": "becoming root is refused",
    "change_owner": "giving files to root is refused",
    "new_user_namespace": "a user namespace of its own is refused",
    "mount_something": "mounting is refused",
    "change_root": "changing the root folder is refused",
    "set_host_name": "setting the host's name is refused",
    "root_read_only": "the system's files are read-only",
    "mounted_places": "no folder of the host but the task's own",
    "writable_places": "nothing writable but the task's folder and /tmp",
    "size_of_temporary_places": "temporary places are bounded",
    "run_from_temporary_places": "nothing starts from /tmp",
    "devices": "no device but the harmless ones",
    "make_device": "making a device is refused",
    "engine_socket": "no socket of a container engine",
    "host_files": "no file of the host, by dots or by links",
    "host_processes": "no process of the host",
    "host_name": "the host's name is not told",
    "environment": "no variable of the worker",
    "kernel_files_written": "the kernel's switches are read-only",
    "kernel_files_read": "the kernel's private files are hidden",
    "network_interfaces": "no network",
    "reach_host": "this computer cannot be reached",
    "reach_home_network": "the home network cannot be reached",
    "reach_metadata": "a cloud's metadata service cannot be reached",
    "reach_pool": "the pool and its VPN cannot be reached",
    "reach_other_containers": "other containers cannot be reached",
    "abstract_sockets": "no socket of the host without a file",
    "raw_socket": "raw packets are refused",
    "packet_socket": "listening to the wire is refused",
    "virtual_machine_socket": "sockets to the virtual machine's host are refused",
    "io_uring": "io_uring is refused",
    "page_fault_handling": "userfaultfd is refused",
    "keyrings": "the kernel's keyrings are refused",
    "bpf": "programs for the kernel are refused",
    "performance_counters": "performance counters are refused",
    "memory_of_processes": "reading another process's memory is refused",
    "open_by_handle": "opening files by number is refused",
    "kernel_module": "loading a kernel module is refused",
    "trace_processes": "tracing processes is refused",
    "memory_limit": "memory is bounded",
    "swap_limit": "no swap",
    "process_limit": "processes are bounded",
    "processor_limit": "processor time is bounded",
    "file_limits": "open files are bounded, no core dumps",
    "fork_bomb": "a fork bomb stays small",
    "memory_bomb": "a memory bomb is ended at its limit",
    "disk_fill": "filling the disk is ended at its limit",
    "log_flood": "a line without end comes in pieces",
}

TRIED_APART = ("memory_bomb", "disk_fill", "log_flood")
"""Each in a run of its own, judged by how that run ended."""

MUST_ANSWER: dict[str, frozenset[str]] = {
    # What the built-in sandbox lacks altogether (processes, system calls) cannot be open. These it has.
    "wasm": frozenset(
        {"writable_places", "host_files", "environment", "reach_host", "reach_metadata", "reach_pool"}
    ),
    "docker": frozenset(DOORS) - {"reach_home_network", "reach_other_containers", *TRIED_APART},
}
"""Doors of which "there is no such thing here" is no answer."""
