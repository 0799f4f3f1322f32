"""Pure functions on text: syntax trees, shingles and signatures, embeddings."""
