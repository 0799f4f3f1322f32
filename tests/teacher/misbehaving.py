"""A chat-completions server on loopback that misbehaves as each request's words tell it to, and keeps its own count of what it
bills.

A message may begin with marks: `[429 x2]` answers the first two askings of that message with a 429. The server bills every
request that it has read whole and did not answer with an error status: also those that it then drops. It runs as a process of
its own, so that clients can be killed and the server restarted: `python misbehaving.py PORT COUNT_FILE`."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

KEY = "sk-key-that-nobody-may-see"
ANSWER = '{"score": 3, "reason": "ok"}'
LONG = 10_000_000


class Misbehaving:
    """The server's state: askings of each message, and bills."""

    def __init__(self, count_file: Path | None = None, delay_seconds: float = 0.0) -> None:
        self.asked: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.heads: list[bytes] = []
        self.now = self.most = 0
        self.connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self.count_file, self.delay_seconds = count_file, delay_seconds
        self.answer = ""
        """What every good answer says; empty: the question again."""

    async def serve(self, port: int = 0) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", port, limit=2**24)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Remember the connection before its task runs: a task that is cancelled before its first step closes nothing."""
        self.connections[writer] = asyncio.get_running_loop().create_task(self._connection(reader, writer))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.connections.pop(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        head = self.heads[-1].decode()
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        body = json.loads(await reader.readexactly(int(length.group(1)) if length else 0))
        text = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        self.bodies.append(body)
        self.keys += re.findall(r"authorization: (.*)\r", head, re.IGNORECASE)
        self.asked[text] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            fault = self._fault(text, body)
            if not fault.isdigit():
                self._bill(text)
            await asyncio.sleep(self.delay_seconds)
            return await self._answer(fault, text, body, writer)
        finally:
            self.now -= 1

    def _fault(self, text: str, body: dict[str, Any]) -> str:
        """The fault of this asking, by the marks at the text's start; `[429] [reset x2]` are taken in order."""
        asked = self.asked[text]
        for name, times in re.findall(r"\[([\w-]+)(?: x(\d+))?\]", text):
            if name == "no-schema":
                if "response_format" in body:
                    return "400"
                continue
            asked -= int(times or 1)
            if asked <= 0:
                return str(name)
        return ""

    def _bill(self, text: str) -> None:
        self.billed[text] += 1
        if self.count_file is not None:
            with self.count_file.open("a") as file:
                file.write(json.dumps(text) + "\n")

    async def _answer(self, fault: str, text: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        good = json.dumps(self._good(fault, text, body)).encode()
        if fault == "silence":
            await asyncio.sleep(60)
            return False
        if fault == "drop":
            return False
        if fault == "reset-mid-body":
            writer.write(_head(200, len(good)) + good[: len(good) // 2])
            await writer.drain()
            writer.transport.abort()
            return False
        if fault == "html":
            page = b"<html><body><h1>Welcome</h1></body></html>"
            writer.write(_head(200, len(page), "text/html") + page)
        elif fault == "truncated":
            half = good[: len(good) // 2]
            writer.write(_head(200, len(half)) + half)
        elif fault == "bad-utf8":
            bad = good.replace(b"re: ", b"re: \xff\xfe")
            writer.write(_head(200, len(bad)) + bad)
        elif fault.isdigit():
            self._refuse(fault, writer)
        else:
            writer.write((_head(200, len(good)) + good) * (2 if fault == "twice" else 1))
        return True

    def _refuse(self, fault: str, writer: asyncio.StreamWriter) -> None:
        said: dict[str, Any] = {"message": f"bad key {KEY}", "code": "x"}
        headers = ""
        if fault == "4290":
            headers, fault = "Retry-After: 0.2\r\n", "429"
        if fault == "4299":
            said, fault = {"message": "you have no money", "code": "insufficient_quota"}, "429"
        if fault == "400":
            said["message"] = "response_format is not supported here"
        body = json.dumps({"error": said}).encode() if fault != "502" else f"<html>{KEY} bad gateway</html>".encode()
        writer.write(_head(int(fault), len(body), headers=headers) + body)

    def _good(self, fault: str, text: str, body: dict[str, Any]) -> dict[str, Any]:
        """An answer in the protocol's words, bent as the fault says."""
        said = self.answer or "re: " + text if fault != "long" else "x" * LONG
        if "response_format" in body:
            said = ANSWER
        choice: dict[str, Any] = {
            "message": {"role": "assistant", "content": said},
            "finish_reason": "stop",
            "index": 0,
        }
        top = [{"token": token, "logprob": value} for token, value in ((" Yes", -0.1), ("Yes", -3.0), ("No", -2.5))]
        if body.get("logprobs") is True:
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        if "prompt" in body:
            choice = {"text": said, "finish_reason": "stop", "index": 0}
        if fault == "refusal":
            choice["message"] = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
        if fault in ("content_filter", "length"):
            choice["finish_reason"] = fault
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        choices = [] if fault == "empty-choices" else [choice]
        if fault == "wrong-shape":
            return {"result": [said], "usage": usage}
        if fault == "no-usage":
            return {"choices": choices}
        return {"choices": choices, "usage": usage, "id": f"chatcmpl-{self.asked[text]}"}


def _head(status: int, length: int, kind: str = "application/json", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n".encode()


async def _main() -> None:
    server = Misbehaving(Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
    listening = await server.serve(int(sys.argv[1]))
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
