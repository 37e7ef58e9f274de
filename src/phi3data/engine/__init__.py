"""The engine behind `prepare` and every single step: examine (per row), decide (per data set), write (per shard)."""
