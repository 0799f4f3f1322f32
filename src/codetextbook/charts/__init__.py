"""Charts and the report: a deterministic summary of a run, its figures, and one offline page."""

from codetextbook.charts.gather import gather, timing
from codetextbook.charts.page import render

__all__ = ["gather", "render", "timing"]
