"""Kernels on one text: read, repair, normalise."""
