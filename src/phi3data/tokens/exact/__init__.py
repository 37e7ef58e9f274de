"""Exact token counts at speed: `counter.ExactCounter`. Importing the package loads nothing."""
