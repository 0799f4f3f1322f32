"""Exams: graded by a judge behind a real server, scored again without a model, sat by models of other makers, compared in words."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import web
from click.testing import CliRunner

from codetextbook.benchmarks.exam import Writing
from codetextbook.benchmarks.examinees import FolderExaminee
from codetextbook.benchmarks.problems import HELDOUT, HUMANEVAL, UNCONVENTIONAL, unconventional
from codetextbook.benchmarks.published import names
from codetextbook.cli import main
from codetextbook.errors import BenchmarkError, ConfigError, InputError
from codetextbook.exams import compared, score_again, sit
from codetextbook.model.folder import load
from codetextbook.model.generate import Sampling, generate
from codetextbook.recipe import Recipe
from codetextbook.run import Run
from codetextbook.site import Site, TeacherSite
from codetextbook.stages.contract import make
from codetextbook.stages.evaluate import Exam
from codetextbook.stages.sitting import HIDDEN_TESTS_ALONE, Name
from codetextbook.store import Store

Answer = Callable[[dict[str, Any]], str]
FREE = {"dollars_per_million_input_tokens": 0.0, "dollars_per_million_output_tokens": 0.0}


class Server:
    """An OpenAI-compatible server on loopback; `chat` and `complete` make its texts."""

    def __init__(self) -> None:
        self.chat: Answer = lambda body: ""
        self.complete: Answer = lambda body: ""
        self.refusals, self.refusal = 0, 503
        self.asked: list[dict[str, Any]] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    def _run(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._on_chat)
        app.router.add_post("/v1/completions", self._on_completion)
        runner = web.AppRunner(app)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _on_chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        message = {"role": "assistant", "content": self.chat(body)}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    async def _on_completion(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        if self.refusals:
            self.refusals -= 1
            told = request.headers.get("Authorization", "")
            return web.json_response({"error": {"message": f"not for {told}"}}, status=self.refusal)
        return web.json_response({"choices": [{"text": self.complete(body), "finish_reason": "length"}]})

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()
    yield served
    served.stop()


def judge_by_text(body: dict[str, Any]) -> str:
    """Fully right is what is written like the reference; all else is wrong. Sound, if narrow."""
    reference, answer = re.findall(r"```python\n(.*?)```", body["messages"][0]["content"], re.DOTALL)[1:3]
    return f"Compared with the solution.\nGRADE: {10 if answer.strip() == reference.strip() else 0}"


@pytest.fixture
def asks_unconventional(tiny_run: Run) -> Callable[..., Run]:
    """The tiny run, whose models sit the unconventional problems alone; `work` and `site` are the test's own."""

    def made(work: Path, site: Site | None = None, **changes: Any) -> Run:
        values = {"evaluate.benchmarks": [UNCONVENTIONAL], "evaluate.max_new_tokens": 4}
        recipe = tiny_run.recipe.replace(values | {f"evaluate.{key}": value for key, value in changes.items()})
        run = Run(recipe, work, site or Site(workers=2, threads=1))
        run.store.root.mkdir(parents=True, exist_ok=True)
        for name in ("select", "pretrain", "decontaminate"):
            artifact = tiny_run.make(name)
            shutil.copytree(artifact.folder, run.store.folder(artifact.stage, artifact.id), dirs_exist_ok=True)
        return run

    return made


def made(run: Run, name: str = "evaluate") -> Any:
    step = run.step(name)
    inputs = tuple(run.store.find(one.stage.name, one.id) for one in step.inputs)
    return make(step, inputs, store=run.store, site=run.site)  # type: ignore[arg-type]


def test_the_recipe_may_ask_every_benchmark_there_is() -> None:
    assert set(get_args(Name)) == {HUMANEVAL, HELDOUT, UNCONVENTIONAL, *names()}


def test_without_a_judge_the_report_says_that_hidden_tests_stand_alone(
    asks_unconventional: Callable[..., Run], tmp_path: Path
) -> None:
    artifact = made(asks_unconventional(tmp_path))
    scores = artifact.json("scores")
    assert scores["judge"] == {"words": HIDDEN_TESTS_ALONE} and "judge" not in scores["protocol"]
    assert scores["models"]["best"][UNCONVENTIONAL]["problems"] == 50
    assert scores["paired"][UNCONVENTIONAL]["words"].startswith("This cannot tell best and base apart: 0 of 50")


def test_a_judge_grades_beside_the_hidden_tests(
    asks_unconventional: Callable[..., Run], tmp_path: Path, server: Server
) -> None:
    server.chat = judge_by_text
    site = Site(workers=2, threads=1, teacher=TeacherSite(base_url=server.url, model="rule", **FREE))
    artifact = made(asks_unconventional(tmp_path, site, judge="teacher", judge_anchored_problems=3))
    scores = artifact.json("scores")
    assert scores["judge"]["models"]["best"]["per_cent"] == 0.0
    assert scores["judge"]["agreement"]["answers"] == 100 == scores["judge"]["agreement"]["agreeing"]
    assert scores["judge"]["anchors"]["reference"] == {"count": 3, "mean": 10.0}
    assert scores["protocol"]["judge"] == {"model": "rule", "temperature": 0.7, "samples": 3}
    rows = artifact.table("graded").to_pylist()
    assert [row["anchor"] for row in rows] == [False] * 100 + [True] * 12
    assert all(len(row["samples"]) == 3 == len(row["reasons"]) for row in rows)


def test_a_judge_that_is_taken_in_by_an_answer_fails_the_stage(
    asks_unconventional: Callable[..., Run], tmp_path: Path, server: Server
) -> None:
    server.chat = lambda body: (
        "It says so.\nGRADE: 10" if "To the grader" in body["messages"][0]["content"] else judge_by_text(body)
    )
    site = Site(workers=2, threads=1, teacher=TeacherSite(base_url=server.url, model="naive", **FREE))
    run = asks_unconventional(tmp_path, site, judge="teacher", judge_anchored_problems=3)
    with pytest.raises(BenchmarkError, match=r"misgraded 3 of 3 anchors of the kind 'injection'"):
        made(run)
    assert run.artifact("evaluate") is None


def test_scoring_again_is_what_a_run_with_a_model_would_have_made(
    asks_unconventional: Callable[..., Run], tmp_path: Path
) -> None:
    first = asks_unconventional(tmp_path / "a")
    made(first)
    again = asks_unconventional(tmp_path / "a", extraction="stops", cpu_seconds=4.0)
    for name in ("select", "pretrain"):  # no weights: nothing can be written
        for path in first.artifact(name).folder.rglob("*.safetensors"):  # type: ignore[union-attr]
            path.unlink()
    artifact = score_again(again, again.step("evaluate"))
    afresh = made(asks_unconventional(tmp_path / "b", extraction="stops", cpu_seconds=4.0))
    assert artifact.digest == afresh.digest and artifact.id != made(first).id
    other = asks_unconventional(tmp_path / "a", max_new_tokens=5)
    with pytest.raises(InputError, match="nothing was written yet"):
        score_again(other, other.step("evaluate"))


def foreign(tiny_run: Run, folder: Path) -> Path:
    """The tiny model as others would publish it: no file of ours beside the public ones."""
    ours = tiny_run.make("select").file("model")
    folder.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        shutil.copyfile(ours / name, folder / name)
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}'
    )
    return folder


def test_a_folder_of_hugging_faces_form_sits_the_exams(tiny_run: Run, tmp_path: Path) -> None:
    run = Run(tiny_run.recipe.replace({"evaluate.max_new_tokens": 4}), tmp_path / "work", Site(workers=2, threads=1))
    artifact = sit(run, str(foreign(tiny_run, tmp_path / "theirs")), benchmarks=(UNCONVENTIONAL,))
    ours = sit(run, str(tiny_run.make("select").file("model")), benchmarks=(UNCONVENTIONAL,))
    one, other = (found.json("scores")["models"] for found in (artifact, ours))
    assert one["theirs"][UNCONVENTIONAL]["bits_per_byte"] == pytest.approx(
        other["model"][UNCONVENTIONAL]["bits_per_byte"], rel=0.02
    )  # ours begins with the end of another text, theirs with the prompt
    assert artifact.json("scores")["paired"] == {}
    told = compared(run.store, artifact.id[:12], ours.id[:12])
    assert told[UNCONVENTIONAL].startswith("This cannot tell theirs and model apart")
    with pytest.raises(InputError, match="no model 'x' sat it"):
        compared(run.store, f"{artifact.id}:x", ours.id)
    (tmp_path / "theirs" / "more.txt").write_text("x")
    assert Exam(examinee=str(tmp_path / "theirs")).fingerprint != artifact.manifest["config"]["fingerprint"]


def test_a_server_of_completions_sits_the_exams(tiny_run: Run, tmp_path: Path, server: Server) -> None:
    loaded = load(tiny_run.make("select").file("model"))
    references = {problem.prompt: problem.reference for problem in unconventional()}

    def complete(body: dict[str, Any]) -> str:
        """Half of the answers by a model, half right."""
        prompt = body["prompt"]
        if len(prompt) % 2:
            return references[prompt]
        return generate(loaded, [prompt], Sampling(body["max_tokens"], 0.0, stops=tuple(body["stop"])))[0].text

    server.complete, server.refusals = complete, 1
    run = Run(tiny_run.recipe.replace({"evaluate.max_new_tokens": 4}), tmp_path, Site(workers=2, threads=1))
    artifact = sit(run, server.url, model="half", benchmarks=(UNCONVENTIONAL,))
    score = artifact.json("scores")["models"]["half"][UNCONVENTIONAL]
    assert score["passed"] == sum(len(prompt) % 2 for prompt in references) and score["bits_per_byte"] is None
    assert artifact.json("scores")["protocol"]["dtype"] == "the server's own"
    assert len(server.asked) == 51 and all(len(body["stop"]) == 4 for body in server.asked)
    again = sit(run, server.url, model="half", benchmarks=(UNCONVENTIONAL,), rescore=True)
    assert again.id == artifact.id and len(server.asked) == 51


def test_a_server_that_refuses_is_told_without_the_key(
    tiny_run: Run, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "nobody-may-see-it")
    server.refusals, server.refusal = 1000, 401
    run = Run(tiny_run.recipe, tmp_path, Site(workers=1, threads=1))
    with pytest.raises(BenchmarkError, match=r"HTTP 401: .*not for Bearer \*\*\*"):
        sit(run, server.url, model="closed", benchmarks=(UNCONVENTIONAL,))


def test_samples_of_a_folder_depend_on_their_seed_alone(tiny_run: Run, tmp_path: Path) -> None:
    examinee = FolderExaminee.load("theirs", foreign(tiny_run, tmp_path / "theirs"), device="cpu")
    problems = unconventional()[:3]
    how = Writing(samples=2, temperature=1.0, max_new_tokens=6)
    first = examinee.write(problems, how)
    assert examinee.write(problems[1:], how) == first[2:] and first[0] != first[1]
    assert examinee.write(problems, Writing(2, 1.0, 6, seed=1)) != first


def test_the_verbs_tell_scores_and_comparison(tiny_run: Run, tmp_path: Path) -> None:
    folder = str(tiny_run.make("select").file("model"))
    recipe = tmp_path / "short.toml"
    recipe.write_text('name = "short"\nextends = "laptop"\n[evaluate]\nmax_new_tokens = 2\n')
    work = ["--work", str(tmp_path / "work")]
    asked = ["exam", folder, str(recipe), "--benchmarks", UNCONVENTIONAL, *work]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0 and HIDDEN_TESTS_ALONE in told.output
    again = CliRunner().invoke(main, [*asked, "--rescore", "--set", "evaluate.extraction=stops"])
    assert again.exit_code == 0
    ids = [artifact.id for artifact in Store(tmp_path / "work" / "store").artifacts()]
    other = CliRunner().invoke(main, ["compare", *ids, *work])
    assert other.exit_code == 1 and len(ids) == 2
    same = CliRunner().invoke(main, ["compare", ids[0], ids[0], *work])
    assert same.exit_code == 0 and "cannot tell model (first) and model (second) apart" in same.output


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    run = Run(Recipe.load("laptop"), tmp_path, Site(workers=1, threads=1))
    with pytest.raises(InputError, match="no model folder"):
        sit(run, str(tmp_path), benchmarks=(UNCONVENTIONAL,))
    with pytest.raises(ConfigError):
        sit(run, str(tmp_path), benchmarks=("humanevil",))
