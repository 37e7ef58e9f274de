"""How alike texts are: sets of shingles, MinHash signatures, bands, exact similarity. Knows texts, and no data set."""
