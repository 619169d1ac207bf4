"""Setting up the pool's network: five steps, each a widget; `window` leads through them."""
