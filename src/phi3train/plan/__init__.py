"""What a run will need, before it is spent: parameters, memory, steps, time."""
