"""A chat-completions server on loopback that answers after a while and does nothing else: `python -m benchmarks.loopback DELAY_SECONDS`.

It reads no more of a request than it must, so that on few cores the client's work is what is measured. Prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys

TEXT = "The file is a clear, self-contained example of loops and decisions, with a docstring for each function. " * 3
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}
BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [CHOICE],
        "usage": {"prompt_tokens": 700, "completion_tokens": 60, "total_tokens": 760},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Connection(asyncio.Protocol):
    """One connection: an answer for each whole request."""

    def __init__(self, delay_seconds: float) -> None:
        self.delay_seconds, self.left = delay_seconds, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.left += data
        while b"\r\n\r\n" in self.left:
            head, _, rest = self.left.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            self.left = rest[length:]
            asyncio.get_running_loop().call_later(self.delay_seconds, self.transport.write, ANSWER)


async def main() -> None:
    delay_seconds = float(sys.argv[1])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(delay_seconds), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
