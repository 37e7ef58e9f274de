"""What a run tells: the profile, and one module per way to show it."""
