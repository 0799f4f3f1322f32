"""Speed, measured: each module runs our way and its peers' on the same work, `python -m benchmarks.NAME [--quick] [--json]`."""
