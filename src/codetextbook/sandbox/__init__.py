r"""Run untrusted, model-written Python, contained, with a verdict that the program cannot forge.

with Sandbox(workers=2) as sandbox:
    result = sandbox.check("def f(x):\n    return x + 1\n", "assert f(1) == 2\n", "f")
"""

from __future__ import annotations

from codetextbook.sandbox.box import Sandbox, Tier
from codetextbook.sandbox.nouns import BlockResult, Job, Limits, Result, Status

__all__ = ["BlockResult", "Job", "Limits", "Result", "Sandbox", "Status", "Tier"]
