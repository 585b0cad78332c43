"""Clients that ask for many addresses at once and cost little: a socket and a line of text each.

A new connection for every request, for both sides: gunicorn's plain workers keep none, and what a connection
costs is paid twice alike.
"""

import http.client
import multiprocessing
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

# Clients share the machine with the servers: one process of threads would be the slower side.
PROCESSES = 2


@dataclass(frozen=True)
class Asked:
    """One request: its address, the session it belongs to, the tag that the browser holds."""

    path: str
    cookie: str = ""
    tag: str = ""


@dataclass(frozen=True)
class Answers:
    """What came back, in the order of what was asked, and how long all of it took."""

    seconds: float
    statuses: list[int]
    bodies: list[bytes]
    tags: list[str]


def ask(port: int, asked: list[Asked], clients: int) -> Answers:
    """Return the answers to all requests, sent by so many clients at once; RuntimeError when one fails."""
    parts = [asked[k::PROCESSES] for k in range(PROCESSES)]
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        pool.map(len, parts)  # the processes stand before the clock runs
        start = time.perf_counter()
        found = pool.starmap(_ask_some, [(port, part, clients // PROCESSES) for part in parts], chunksize=1)
        seconds = time.perf_counter() - start
    answers: list[tuple[int, bytes, str]] = [(0, b"", "")] * len(asked)
    for k, part in enumerate(found):
        answers[k::PROCESSES] = part
    failed = [
        (each[0], what.path)
        for each, what in zip(answers, asked, strict=True)
        if each[0] not in (200, 204, 304)
    ]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(asked)} failed, the first: {failed[0]}")
    return Answers(seconds, *map(list, zip(*answers, strict=True)))  # type: ignore[arg-type]


def _ask_some(port: int, asked: list[Asked], clients: int) -> list[tuple[int, bytes, str]]:
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda each: _ask(port, each), asked))


def _ask(port: int, asked: Asked) -> tuple[int, bytes, str]:
    lines = [f"GET {asked.path} HTTP/1.1", "Host: 127.0.0.1", "Accept-Encoding: gzip", "Connection: close"]
    lines += [f"Cookie: {asked.cookie}"] * bool(asked.cookie) + [f"If-None-Match: {asked.tag}"] * bool(
        asked.tag
    )
    with socket.create_connection(("127.0.0.1", port), timeout=120) as wire:
        wire.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b"".join(iter(lambda: wire.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    tag = re.search(rb"(?i)\r\netag: ([^\r]+)", head)
    if re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
        body = _joined(body)
    return int(head.split(b" ", 2)[1]), body, tag[1].decode() if tag else ""


def _joined(body: bytes) -> bytes:
    whole, rest = b"", body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        whole, rest = whole + rest[:length], rest[length + 2 :]
    return whole


def sign_in(port: int, username: str, password: str) -> str:
    """Return the cookie of a new session; RuntimeError when the server does not let this person in."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    wire.request("GET", "/login")
    first = wire.getresponse()
    page = first.read().decode()
    cookie = (first.getheader("Set-Cookie") or "").split(";")[0]
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    form = urlencode({"username": username, "password": password, "csrf_token": token[1] if token else ""})
    wire.close()
    wire.request(
        "POST", "/login", form, {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    )
    answer = wire.getresponse()
    answer.read()
    if answer.status not in (302, 303):
        raise RuntimeError(f"{username}: signing in gave {answer.status}")
    return (answer.getheader("Set-Cookie") or cookie).split(";")[0]
