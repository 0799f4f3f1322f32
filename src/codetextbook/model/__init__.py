"""The phi architecture, its folder format, generation, and exchange of weights with transformers. Knows nothing of training."""
