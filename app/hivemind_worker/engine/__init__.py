"""The asyncio driver: one writer decides, journals, then has the effects performed."""
