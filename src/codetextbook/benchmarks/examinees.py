"""Models that this package did not train, sitting its exams: any folder in Hugging Face's form, any OpenAI-compatible completions server.

A folder of ours (with `phi.json`) is read by our own code; another needs transformers (the extra `hf`). Greedy completions of a folder are
written in batches; sampled ones alone, each from its own seed. fp32, as for our own models.

A server is sent raw prompts at `/completions`, never a chat template: a score with one is a score of another protocol. Its stop strings are
the first four of the form (most servers take no more), the rest is cut here, so that both ways give the same code. Limits: it does not tell
what a reference costs, so bits per byte are not known; its number format and its seed are its own affair; replies are kept part by part
with the artifact, but not in the teacher's journal and under no budget: it is meant for servers of your own.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import torch
import torch.nn.functional as F

from codetextbook.benchmarks.exam import Examinee, PhiExaminee, Question, Writing, questions
from codetextbook.benchmarks.extract import cut_at_stops
from codetextbook.errors import BenchmarkError, InputError, MissingDependency
from codetextbook.model.folder import SETTINGS
from codetextbook.model.generate import Text
from codetextbook.nouns import Problem
from codetextbook.store import sha256
from codetextbook.text.embed import pick_device

PROMPTS_PER_BATCH = 16
MOST_STOPS = 4
SERVERS_OWN = "the server's own"
"""Number format of a model whose server does not tell it."""
TRIES, FIRST_WAIT_SECONDS = 5, 1.0
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


def fingerprint(examinee: str) -> str:
    """SHA-256 over the names and contents of a model folder's files; empty for a server, whose weights nobody sees."""
    folder = Path(examinee)
    if is_server(examinee) or not folder.is_dir():
        return ""
    told = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        told.update(f"{path.name} {sha256(path)}\n".encode())
    return told.hexdigest()


def is_server(examinee: str) -> bool:
    """Whether it is an address and not a folder."""
    return examinee.startswith(("http://", "https://"))


def open_examinee(
    name: str,
    examinee: str,
    *,
    device: str,
    threads: int,
    api_key_env: str,
    in_flight: int,
    timeout_seconds: float,
) -> Examinee:
    """Whoever is behind a folder or an address, called `name` (a server knows the model by it).

    Raises:
        InputError: the folder is no model.
        MissingDependency: transformers is not installed, and the folder is not one of ours.
    """
    if is_server(examinee):
        return ServerExaminee(name, examinee, api_key_env, in_flight, timeout_seconds)
    folder = Path(examinee)
    if not (folder / "config.json").is_file():
        raise InputError(
            "this is no model folder", where=examinee, hint="one with config.json, weights and a tokenizer"
        )
    torch.set_num_threads(threads)
    if (folder / SETTINGS).is_file():
        return PhiExaminee.load(name, folder, device=device, threads=threads)
    return FolderExaminee.load(name, folder, device=device)


@dataclass(frozen=True)
class FolderExaminee:
    """A causal language model that transformers can load."""

    name: str
    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, name: str, folder: Path, *, device: str) -> FolderExaminee:
        """Read a folder; nothing is downloaded, and no code that lies in it is run."""
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise MissingDependency("transformers is not installed", hint='pip install "codetextbook[hf]"') from None
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, padding_side="left", truncation_side="left"
            )
            model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"transformers cannot load it: {error}", where=str(folder)) from error
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return cls(name, model.to(pick_device(device)).eval(), tokenizer)

    @torch.inference_mode()
    def bits(self, problem: Problem) -> float:
        """Bits that the reference costs, given the prompt; what exceeds the context is taken off the prompt's beginning."""
        before = self.tokenizer(problem.prompt)["input_ids"] or [self.tokenizer.eos_token_id]
        after = self.tokenizer(problem.reference, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([(before + after)[-self._context :]], device=self.model.device)
        count = min(len(after), ids.shape[1] - 1)
        logits = self.model(ids).logits[0, -count - 1 : -1].float()
        return F.cross_entropy(logits, ids[0, -count:], reduction="sum").item() / math.log(2)

    def write(self, problems: Sequence[Problem], how: Writing) -> list[Text]:
        """Every problem's samples in turn."""
        asked = questions(problems, how)
        size = PROMPTS_PER_BATCH if how.temperature == 0 else 1
        order = sorted(range(len(asked)), key=lambda place: (asked[place].stops, len(asked[place].prompt), place))
        texts: dict[int, Text] = {}
        start = 0
        while start < len(order):
            stops = asked[order[start]].stops
            places = [place for place in order[start : start + size] if asked[place].stops == stops]
            texts |= zip(places, self._batch([asked[place] for place in places], how), strict=True)
            start += len(places)
        return [texts[place] for place in range(len(asked))]

    @property
    def _context(self) -> int:
        return int(getattr(self.model.config, "max_position_embeddings", 2048))

    @torch.inference_mode()
    def _batch(self, asked: Sequence[Question], how: Writing) -> list[Text]:
        room = max(self._context // 2, self._context - how.max_new_tokens)
        given = self.tokenizer(
            [one.prompt for one in asked], return_tensors="pt", padding=True, truncation=True, max_length=room
        ).to(self.model.device)
        sampling: dict[str, Any] = {"do_sample": False}
        if how.temperature > 0:
            sampling = {"do_sample": True, "temperature": how.temperature, "top_k": 0, "top_p": 1.0}
        long = given["input_ids"].shape[1]
        with torch.random.fork_rng():  # transformers draws from the process's own random numbers
            torch.manual_seed(asked[0].seed)
            made = self.model.generate(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                max_new_tokens=min(how.max_new_tokens, self._context - long),
                pad_token_id=self.tokenizer.pad_token_id,
                stop_strings=list(asked[0].stops),
                tokenizer=self.tokenizer,
                **sampling,
            )
        return [self._text(row, long, asked[0].stops) for row in made.tolist()]

    def _text(self, row: list[int], long: int, stops: Sequence[str]) -> Text:
        """What follows the prompt: the whole decoded, less the prompt decoded, for tokenizers whose first word has no space."""

        def words(ids: list[int]) -> str:
            return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

        text = words(row)[len(words(row[:long])) :]
        if cut_at_stops(text, stops).stop:
            return Text(text, "stop")
        return Text(text, "end_of_text" if self.tokenizer.eos_token_id in row[long:] else "max_tokens")


@dataclass(frozen=True)
class ServerExaminee:
    """A model behind `/completions`. `base_url` ends with `/v1`; the key, if one is needed, is in the environment."""

    name: str
    base_url: str
    api_key_env: str = "OPENAI_API_KEY"
    in_flight: int = 32
    timeout_seconds: float = 120.0

    def bits(self, problem: Problem) -> None:
        """Not told by this protocol."""
        return

    def write(self, problems: Sequence[Problem], how: Writing) -> list[Text]:
        """Every problem's samples in turn.

        Raises:
            BenchmarkError: the server refuses, or gives no answer.
        """
        return asyncio.run(self._write(questions(problems, how), how))

    async def _write(self, asked: Sequence[Question], how: Writing) -> list[Text]:
        key = os.environ.get(self.api_key_env, "")
        turn = asyncio.Semaphore(self.in_flight)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.in_flight),
            timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            trust_env=True,
        ) as session:

            async def one(question: Question) -> Text:
                async with turn:
                    return await self._ask(session, question, how)

            return list(await asyncio.gather(*map(one, asked)))

    async def _ask(self, session: aiohttp.ClientSession, question: Question, how: Writing) -> Text:
        body = {
            "model": self.name,
            "prompt": question.prompt,
            "max_tokens": how.max_new_tokens,
            "temperature": how.temperature,
            "seed": question.seed % 2**31,
            "stop": list(question.stops[:MOST_STOPS]),
        }
        url, trouble = self.base_url.rstrip("/") + "/completions", ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
            try:
                async with session.post(url, json=body) as response:
                    if response.status == 200:
                        return _text_of(await response.json(content_type=None), url)
                    trouble = f"HTTP {response.status}: {(await response.text(errors='replace'))[:200]}"
                    if response.status not in _AGAIN:
                        break
            except (aiohttp.ClientError, TimeoutError) as error:
                trouble = str(error) or type(error).__name__
        key = os.environ.get(self.api_key_env, "")
        raise BenchmarkError(
            f"the server gave no completion ({trouble.replace(key, '***') if key else trouble})",
            where=url,
            hint="is it up, and is --model its name for the model? What was written is kept: the same command goes on",
        )


def _text_of(body: Any, url: str) -> Text:
    try:
        choice = body["choices"][0]
        reason = "max_tokens" if choice.get("finish_reason") == "length" else "stop"
        return Text(str(choice["text"]), reason)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"this is no completion: {error!r}", where=url) from error
