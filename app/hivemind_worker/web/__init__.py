"""The local control API on loopback. Sees the worker through engine.face alone; aiohttp stays in here."""
