"""The command line: verbs, one call each. The only room that knows the CLI library; `--help` imports neither torch nor pyarrow."""

from codetextbook.cli import exams, keeping, models, runs
from codetextbook.cli.frame import main

__all__ = ["exams", "keeping", "main", "models", "runs"]
