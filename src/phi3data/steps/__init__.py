"""What `prepare` does to rows: each step a configuration and a pure function."""
