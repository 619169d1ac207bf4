"""The first run: five steps, each a widget; `window` leads through them and remembers how far one got."""
