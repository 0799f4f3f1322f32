"""Right programs pass, wrong ones fail with a reason, whatever the form of the tests."""

from __future__ import annotations

import pytest

from codetextbook.sandbox import Job, Limits, Sandbox, Status

PASSING = {
    "assert lines": ("def f(x):\n    return x + 1\n", "assert f(1) == 2\nassert f(x=-1) == 0\n"),
    "check(candidate)": (
        "def f(x):\n    return x + 1\n",
        "METADATA = {}\n\ndef check(candidate):\n    assert candidate(1) == 2\n",
    ),
    "check called by the tests": (
        "def f(x):\n    return x + 1\n",
        "def check(candidate):\n    assert candidate(1) == 2\n\ncheck(f)\n",
    ),
    "tests in functions": ("def f(x):\n    return -x\n", "def test_f():\n    assert f(1) == -1\n\ntest_f()\n"),
    "helper of the program": (
        "def g(x):\n    return 2 * x\ndef f(x):\n    return g(x) + 1\n",
        "assert f(3) == g(3) + 1\n",
    ),
    "constant of the program": ("LIMIT = 7\ndef f():\n    return LIMIT\n", "assert f() == LIMIT\n"),
    "module of the program": (
        "import math\ndef f(x):\n    return math.sqrt(x)\n",
        "assert math.isclose(f(2), 1.41421356, rel_tol=1e-6)\n",
    ),
    "expected exception": (
        "def f(x):\n    raise ValueError(x)\n",
        "try:\n    f(3)\n    assert False\nexcept ValueError as e:\n    assert str(e) == '3'\n",
    ),
    "function passed": (
        "def f(g, xs):\n    return [g(x) for x in xs]\n",
        "assert f(lambda x: x * x, [1, 2]) == [1, 4]\nassert f(str, [1]) == ['1']\n",
    ),
    "objects of the program, put together by the tests": (
        "class Node:\n    next = None\ndef f(node):\n    return 0 if node is None else 1 + f(node.next)\n",
        "a, b = Node(), Node()\na.next = b\nb.next = Node()\nassert f(a) == 3 and f(a.next) == 2\n",
    ),
    "iterator passed": (
        "def f(xs):\n    return sum(xs)\n",
        "assert f(x for x in range(5)) == 10\nassert f(iter([1, 2])) == 3\n",
    ),
    "function returned": ("def f(n):\n    return lambda x: x + n\n", "assert f(2)(3) == 5\n"),
    "generator returned": (
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1\n",
        "g = f()\nassert [next(g) for _ in range(4)] == [0, 1, 2, 3]\nassert next(g) == 4\n",
    ),
    "object returned": (
        "class f:\n    def __init__(self):\n        self.items = []\n    def push(self, x):\n        self.items.append(x)\n"
        "    def __len__(self):\n        return len(self.items)\n",
        "s = f()\ns.push(3)\nassert len(s) == 1 and s.items == [3] and 3 in s.items and s\n",
    ),
    "builtin under the name": ("f = sorted\n", "assert f([2, 1]) == [1, 2]\n"),
    "plain data": (
        "def f(x):\n    return x\n",
        "import datetime, collections\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
        "for v in (None, True, 0, -1 << 70, 1.5, float('inf'), 'é\\ud800', b'x', bytearray(b'y'), [1], (1, (2,)), {1: {2}}, frozenset({3}), 2j,\n"
        "          range(3, 9, 2), collections.deque([1]), Decimal('1.10'), Fraction(1, 3), datetime.date(2020, 1, 2),\n"
        "          datetime.datetime(2020, 1, 2, 3, 4, 5), datetime.time(1, 2), datetime.timedelta(1, 2, 3), int, ValueError, ...):\n"
        "    assert f(v) == v and type(f(v)) is type(v), v\n",
    ),
    "subclasses arrive as their base": (
        "import collections, enum\nPoint = collections.namedtuple('Point', 'x y')\nclass Colour(enum.IntEnum):\n    RED = 1\n"
        "def f():\n    d = collections.defaultdict(list)\n    d[1].append(2)\n    return Point(1, 2), Colour.RED, d, collections.Counter('aab')\n",
        "assert f() == ((1, 2), 1, {1: [2]}, {'a': 2, 'b': 1})\n",
    ),
    "files, threads and printing": (
        "import json, tempfile, threading, random, asyncio\ndef f(x):\n    print('debug', x)\n    out = []\n"
        "    t = threading.Thread(target=out.append, args=(x,))\n    t.start()\n    t.join()\n"
        "    with tempfile.TemporaryDirectory() as d, open(d + '/a', 'w') as file:\n        json.dump(out, file)\n"
        "    async def later():\n        await asyncio.sleep(0)\n        return out[0]\n    return asyncio.run(later())\n",
        "assert f(3) == 3\n",
    ),
    "dataclass and typing": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import List\n@dataclass\nclass P:\n    x: int = 0\n"
        "def f(xs: List[int]) -> int:\n    return P(sum(xs)).x\n",
        "assert f([1, 2]) == 3\n",
    ),
    "more CPU than a tight wall clock would give": (
        "def f():\n    return sum(range(10_000_000))\n",
        "assert f() == 49999995000000\n",
    ),
}
FAILING = {
    "wrong answer": ("def f(x):\n    return x\n", "assert f(1) == 2\n", "AssertionError at: assert f(1) == 2"),
    "raises": (
        "def f(x):\n    return x[0]\n",
        "assert f(1) == 2\n",
        "TypeError: 'int' object is not subscriptable at: assert f(1) == 2",
    ),
    "raises while loaded": (
        "import nothing_of_this_name\n",
        "assert f(1)\n",
        "ModuleNotFoundError: No module named 'nothing_of_this_name'",
    ),
    "own exception": (
        "class Odd(Exception):\n    pass\ndef f():\n    raise Odd('x')\n",
        "assert f()\n",
        "RemoteError: Odd: x at: assert f()",
    ),
    "nothing tested": ("def f(x):\n    return x\n", "assert True\n", "the tests never called the program"),
    "no tests": ("def f(x):\n    return x\n", "", "the tests never called the program"),
    "not defined": ("def g(x):\n    return x\n", "assert f(1)\n", "the program does not define f"),
    "asks for input": (
        "def f():\n    return input()\n",
        "assert f()\n",
        "EOFError: EOF when reading a line at: assert f()",
    ),
    "ends the walk of the tests": (
        "def f(x):\n    raise StopIteration\n",
        "assert all(map(lambda x: f(x) == x, [1, 2]))\n",
        "RemoteError: StopIteration:  at: assert all(map(lambda x: f(x) == x, [1, 2]))",
    ),
}


@pytest.mark.parametrize("name", PASSING)
def test_right_programs_pass(sandbox: Sandbox, name: str) -> None:
    result = sandbox.check(*PASSING[name], "f")
    assert (result.status, result.detail) == (Status.PASSED, "")
    assert result.cpu_seconds >= 0 and result.tier == sandbox.tier and result.kernel


@pytest.mark.parametrize("name", FAILING)
def test_wrong_programs_fail_with_the_reason(sandbox: Sandbox, name: str) -> None:
    code, tests, reason = FAILING[name]
    result = sandbox.check(code, tests, "f")
    assert (result.status, result.detail) == (Status.FAILED, reason)


def test_arguments_go_by_value(sandbox: Sandbox) -> None:
    """A program that empties the list it was given changes nothing that the tests go on to use."""
    code = "def f(xs):\n    xs.clear()\n    return 0\n"
    assert sandbox.check(code, "xs = [1, 2]\nassert f(xs) == sum(xs)\n", "f").status == Status.FAILED


def test_what_cannot_cross_is_labelled(sandbox: Sandbox) -> None:
    tests = "class Tree:\n    pass\ntry:\n    assert f(Tree()) is None\nexcept Exception:\n    pass\n"
    result = sandbox.check("def f(tree):\n    return None\n", tests, "f")
    assert (result.status, result.detail) == (
        Status.UNSPLITTABLE,
        "the tests pass a Tree, which cannot cross to the program",
    )


def test_a_program_cannot_change_what_the_tests_lend_it(sandbox: Sandbox) -> None:
    """It may call a function of the tests; attributes, items and every other operation on it are refused, also in raw messages."""
    tests = "def ask():\n    return ask.answer\nask.answer = 1\nassert f(ask) == ASKED\nassert ask() == 1 and vars(ask) == {'answer': 1}\n"
    tries = {
        "ask.answer = 2": "CodecError",
        "ask.new = 2": "CodecError",
        "del ask.answer": "AttributeError",
        "ask.answer": "CodecError",
        "ask._peer.request('set', ask._ref, '__code__', None)": "CodecError",
        "ask._peer.request('set', ask._ref, '__globals__', {})": "CodecError",
        "ask._peer.request('attribute', ask._ref, '__globals__')": "CodecError",
        "ask._peer.request('item', ask._ref, 0)": "CodecError",
        "ask._peer.request('iterate', ask._ref)": "CodecError",
        "ask()": "1",
    }
    code = (
        f"def f(ask):\n    told = []\n    for text in {list(tries)!r}:\n        try:\n            exec(compile(text, '', 'single'), {{'ask': ask}})\n"
        "            told.append(str(ask()))\n        except Exception as error:\n"
        "            told.append(str(error).partition(':')[0] if 'Error:' in str(error) else type(error).__name__)\n    return told\n"
    )
    result = sandbox.check(code, tests.replace("ASKED", repr(list(tries.values()))), "f")
    assert (result.status, result.detail) == (Status.PASSED, "")


def test_helpers_of_the_prompt_are_out_of_the_programs_reach(sandbox: Sandbox) -> None:
    prompt = 'def undo(s):\n    return s[::-1]\n\n\ndef f(s):\n    """Reverse s."""\n'
    tests = "def check(candidate):\n    assert undo(candidate('abc')) == 'abc'\n"
    cheat = prompt + "    return 7\n\n\ndef undo(s):\n    return 'abc'\n"
    assert (
        sandbox.check(cheat, tests, "f").status == Status.PASSED
    )  # nothing tells the program's helper from the problem's
    assert sandbox.check(cheat, tests, "f", prompt).status == Status.FAILED
    assert sandbox.check(prompt + "    return s[::-1]\n", tests, "f", prompt).status == Status.PASSED


def test_results_come_in_the_order_of_the_jobs(sandbox: Sandbox) -> None:
    code = "import time\ndef f(n):\n    time.sleep(0.02 * (n % 3 == 0))\n    return n\n"
    results = sandbox.check_many(Job(code, f"assert f({n}) != 7", "f") for n in range(30))
    assert [n for n, result in enumerate(results) if result.status == Status.FAILED] == [7]


def test_jobs_are_taken_only_as_far_ahead_as_is_useful(sandbox: Sandbox) -> None:
    taken = 0

    def jobs():
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield Job("def f():\n    return 1\n", "assert f() == 1", "f")

    results = sandbox.check_many(jobs())
    assert next(results).status == Status.PASSED
    results.close()
    assert taken < 100


def test_programs_are_repeatable() -> None:
    """Unseeded randomness and the order of sets are the same in every cell."""
    code = "import random\ndef f():\n    return [random.random(), list({'a', 'b', 'c', 'd'}), hash('x')]\n"
    seen = set()
    for _ in range(2):
        with Sandbox(workers=1) as sandbox:
            seen.add(sandbox.check(code, "assert f() == 0, f()", "f").detail)
    assert len(seen) == 1


def test_a_page_runs_block_by_block_in_one_namespace(sandbox: Sandbox) -> None:
    blocks = [
        "x = [1, 2]\nprint(x)",
        "def g():\n    return x[9]\nprint('é')\ng()",
        "print(sum(x), __name__)\nimport sys\nprint('hidden', file=sys.stderr)",
        "def broken(:",
        "sys.exit()",
        "raise SystemExit(2)",
        "print('\\ud800\\0')",
    ]
    results = sandbox.run(blocks)
    assert [result.status for result in results] == [
        "passed",
        "failed",
        "passed",
        "unparsable",
        "passed",
        "failed",
        "passed",
    ]
    assert [result.stdout for result in results] == ["[1, 2]\n", "é\n", "3 __main__\n", "", "", "", "?\\0\n"]
    assert results[1].error == "IndexError: list index out of range (line 2)"
    assert results[3].error.startswith("SyntaxError") and {result.tier for result in results} == {sandbox.tier}


def test_a_block_that_ends_the_process_ends_the_page(sandbox: Sandbox) -> None:
    results = sandbox.run(["print(1)", "import os\nos._exit(0)", "print(3)"])
    assert [result.status for result in results] == ["passed", "crashed", "crashed"]
    assert results[2].error == "not run: exited with status 0 before it answered"
    assert [r.status for r in sandbox.run(["1", "while True:\n    pass", "2"])] == ["passed", "timed_out", "timed_out"]
    assert sandbox.run(["open('/etc/passwd')"])[0].error.startswith(("PermissionError", "FileNotFoundError"))
    assert sandbox.run(["x = bytearray(1 << 40)"])[0].status == Status.OUT_OF_MEMORY
    assert sandbox.run([]) == []


def test_a_page_that_forges_its_results_is_cut_to_what_blocks_can_say(sandbox: Sandbox) -> None:
    forged = "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'\\x04\\0\\0\\0junk' * 100)\n    except OSError:\n        pass\n"
    assert [result.status for result in sandbox.run([forged, "1"])] != ["passed", "passed"]
    flood = "import os\nwhile True:\n    for fd in range(3, 64):\n        try:\n            os.write(fd, bytes(65536))\n        except OSError:\n            pass\n"
    assert len(sandbox.run([flood])) == 1


def test_output_is_cut_at_its_limit() -> None:
    with Sandbox(workers=1, limits=Limits(output_bytes=10)) as sandbox:
        assert sandbox.run(["print('é' * 100)"])[0].stdout == "ééééé"


def test_limits_are_the_programs_limits() -> None:
    busy = "def f():\n    t = 0\n    for k in range(6_000_000):\n        t += k\n    return 1\n"
    big = "def f():\n    return len(bytearray(300 << 20))\n"
    with (
        Sandbox(workers=1, limits=Limits(cpu_seconds=0.05)) as tight,
        Sandbox(workers=1, limits=Limits(cpu_seconds=20)) as wide,
    ):
        assert tight.check(busy, "assert f() == 1", "f").status == Status.TIMED_OUT
        assert wide.check(busy, "assert f() == 1", "f").status == Status.PASSED
        assert wide.check(big, "assert f()", "f").status == Status.PASSED
    with Sandbox(workers=1, limits=Limits(memory_bytes=256 << 20)) as small:
        assert small.check(big, "assert f()", "f").status == Status.OUT_OF_MEMORY
    with pytest.raises(ValueError, match="positive"):
        Limits(cpu_seconds=0)
