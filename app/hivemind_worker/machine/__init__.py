"""Facts about this computer. The only room, beside the nursery, that may ask psutil."""
