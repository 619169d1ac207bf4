"""Decisions only: synchronous, no clock, no chance, no I/O. Only the engine imports this room."""
