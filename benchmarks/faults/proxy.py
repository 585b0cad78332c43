"""A small proxy of this machine between two ends of a connection, which does to it what networks do.

An end is a TCP port of the loopback address, or the path of a unix socket.
"""

import asyncio
import random
from enum import StrEnum
from pathlib import Path
from threading import Thread

End = int | Path
CHUNK = 65_536
# One kilobyte a second, in pieces.
PIECE, PIECE_S = 256, 0.25
# Of the chunks that pass while messages are broken off, so many are.
BREAKS = 0.3


class Weather(StrEnum):
    """What happens to the connections."""

    CALM = "calm"
    CUT = "cut"
    MID_REQUEST = "broken off in a request"
    MID_RESPONSE = "broken off in an answer"
    STALLED = "stalled"
    SLOW = "1 kB/s"


class Proxy:
    """Passes on whatever comes to `door`; the weather may change at any moment."""

    def __init__(self, door: End, target: End, seed: int) -> None:
        self.door, self.target = door, target
        self._rng = random.Random(seed)
        self._weather = Weather.CALM
        self._loop = asyncio.new_event_loop()
        self._calm = asyncio.Event()
        self._calm.set()
        self._open = set[asyncio.StreamWriter]()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to listen; returns once it does."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Cut every connection and listen no more."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def change(self, weather: Weather) -> None:
        """Make the weather; returns once it is."""
        asyncio.run_coroutine_threadsafe(self._change(weather), self._loop).result(10)

    async def _close(self) -> None:
        self._server.close()
        await self._change(Weather.CUT)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _change(self, weather: Weather) -> None:
        self._weather = weather
        if weather is Weather.STALLED:
            self._calm.clear()
        else:
            self._calm.set()
        if weather is Weather.CUT:
            for writer in list(self._open):
                writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self) -> None:
        if isinstance(self.door, Path):
            self._server = await asyncio.start_unix_server(self._pass, self.door)
        else:
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.door)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather is Weather.CUT:
            writer.transport.abort()
            return
        try:
            there, back = await _connected(self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self._open |= both
        ways = [
            asyncio.create_task(self._pump(reader, back, Weather.MID_REQUEST)),
            asyncio.create_task(self._pump(there, writer, Weather.MID_RESPONSE)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in both:
                each.close()
            self._open -= both

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, breaking: Weather
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._calm.wait()
                if self._weather is breaking and self._rng.random() < BREAKS:
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    return
                await self._hand_over(data, writer)
        except OSError:
            return

    async def _hand_over(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        at = 0
        while at < len(data):
            slow = self._weather is Weather.SLOW
            piece = data[at : at + PIECE] if slow else data[at:]
            writer.write(piece)
            await writer.drain()
            at += len(piece)
            if slow:
                await asyncio.sleep(PIECE_S)


async def _connected(target: End) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(target, Path):
        return await asyncio.open_unix_connection(target)
    return await asyncio.open_connection("127.0.0.1", target)
