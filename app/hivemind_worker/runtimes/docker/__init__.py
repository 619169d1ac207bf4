"""The Docker sandbox: hardened containers behind the same port as the built-in one."""
