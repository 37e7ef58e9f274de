"""From files to the rows that the trainer gets: reading, encoding, truncation, packing, order."""
