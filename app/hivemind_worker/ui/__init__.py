"""The window: everything that knows Qt. It meets the worker at `bridge` alone."""
