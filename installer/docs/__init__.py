"""Makes the documentation's generated pages, and all of it as HTML: `python -m installer.docs`."""
