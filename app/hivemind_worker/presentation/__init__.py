"""Pure: the worker's pictures in, sentences and rows out. One wording for window, web and command line."""
