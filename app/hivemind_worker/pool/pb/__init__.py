"""Generated from proto/nodepool.proto by `make proto`; never edited by hand."""
