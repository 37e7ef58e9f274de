"""One row as a model will see it: found by its place, rendered by the chat template, cut into tokens, counted."""
