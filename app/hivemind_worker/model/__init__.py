"""Values only: what the other rooms say to one another. No clock, chance or I/O."""
