"""What survives a restart: the journal, the settings file, secrets. The only room with SQLite."""
