"""The rooms: one module per stage, each deaf to the others. `contract` is what they share; the pipeline joins them."""
