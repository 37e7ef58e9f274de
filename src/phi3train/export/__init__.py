"""Bundles that are handed over: what a run learned, in files that old and new runtimes load alike."""
