"""How the templates become pages: what is not markup of our own is escaped, and a name that is missing is an error."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from codetextbook.charts import words


def environment() -> Environment:
    """How every page of charts is rendered."""
    made = Environment(
        loader=PackageLoader("codetextbook.charts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": words.percent,
        "number": words.number,
        "duration": words.duration,
        "writer": words.writer_label,
        "benchmark": words.benchmark_label,
        "short": words.short,
        "settings": words.settings_text,
        "utilisation": words.utilisation,
        "words": lambda text: str(text).replace("_", " "),
    }
    return made
