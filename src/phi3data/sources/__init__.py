"""Raw files and tables → rows with a place → conversations."""
