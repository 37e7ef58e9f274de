"""What the sample data is made of: phrases (one .toml a language), conversations, planted defects, files."""
