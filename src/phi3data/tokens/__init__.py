"""How many tokens a text is: exact or estimated."""
