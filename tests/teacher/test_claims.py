"""What a page claims that its code prints, in each of the ways that people write it."""

from __future__ import annotations

import pytest

from codetextbook.sandbox import Limits, Sandbox
from codetextbook.teacher.checking import page_refusal

RIGHT = (
    "```python\nprint(2 * 3)  # prints 6\n```\n",
    "```python\nprint(2 * 3)\n```\n\nThis prints `6`.\n",
    "```python\n2 < 3  # True\n```\n",
    "```python\n'a' + 'b'  # \"ab\"\n```\n",
    "```python\nx = [1]\nx.append(2)  # [1, 2]\n```\n",
    "```python\nx = 3  # 4 would do as well\nx  # a name alone\n```\n",
    '```python\ndef f(x):\n    """Twice x.\n\n    >>> f(2)\n    4\n    """\n    return 2 * x\n```\n',
    "```python\nfor k in range(2):\n    print(k)\n```\n\n```text\n0\n1\n```\n",
)
WRONG = (
    ("output_differs", "```python\nprint(2 * 3)  # prints 7\n```\n"),
    ("output_differs", "```python\nprint(2 * 3)\n```\n\nThis prints `7`.\n"),
    ("output_differs", "```python\n2 < 3  # False\n```\n"),
    ("output_differs", "```python\nmax([1, 5])  # 1\n```\n"),
    ("output_differs", RIGHT[6].replace("    4\n", "    5\n")),
    ("output_differs", RIGHT[7].replace("0\n1\n```", "0\n2\n```")),
    ("output_not_stated", "```python\nprint(2 * 3)\n```\n\nThis prints six.\n"),
    ("code_failed", "```python\nprint(y)  # 3\n```\n"),
    ("code_timed_out", "```python\nwhile True:\n    pass\n```\n"),
    ("unparsable", "```python\nprint(\n```\n"),
    ("no_code", "Only words.\n"),
)


def test_every_claim_is_compared_with_what_happens() -> None:
    with Sandbox(workers=1, limits=Limits(cpu_seconds=1.0)) as sandbox:
        assert [page_refusal(text, sandbox) for text in RIGHT] == [None] * len(RIGHT)
        found = [page_refusal(text, sandbox) for _, text in WRONG]
    assert [one and one.reason for one in found] == [reason for reason, _ in WRONG]


@pytest.mark.parametrize("text", RIGHT)
def test_blocks_share_a_namespace_in_the_order_of_the_page(text: str) -> None:
    with Sandbox(workers=1, limits=Limits(cpu_seconds=2.0)) as sandbox:
        assert (
            page_refusal("```python\nsize = 2\n```\n\n" + text + "\n```python\nprint(size)  # 2\n```\n", sandbox)
            is None
        )
