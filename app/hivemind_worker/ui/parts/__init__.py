"""What every screen is made of: text, buttons, panels, rows. They know the theme and no worker."""
