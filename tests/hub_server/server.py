"""A local Hub: two listeners on 127.0.0.1, the Hub itself and its file host, over one store."""

import contextlib
import fnmatch
import http.client
import socket
import struct
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote

from . import files, pull_api, read_api, repo_api, write_api
from .access import Call, identify
from .faults import Fault, Faults
from .messages import Refusal, Reply, Request
from .store import Caller, Repo, Store

HUB_ROUTERS = (repo_api.router, pull_api.router, write_api.router, read_api.router, files.router)
SLOW_PIECES = 10


@dataclass(frozen=True)
class Seen:
    """A request that was received. `status` is 0 if it was never answered."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    host: str  # "hub" or "files"
    user: str | None
    status: int
    range: str | None
    sent: int  # bytes of body the client sent


class HubServer:
    """Start, stop, look inside, misbehave. Users come into being when their token is first asked for."""

    def __init__(self, port: int = 0) -> None:
        self.store, self.faults = Store(), Faults()
        self.requests: list[Seen] = []
        self.unknown: list[str] = []  # requests no route knows: a client that speaks something this server does not
        self.errors: list[str] = []  # failures of the server itself
        self.page_size = self.tree_page_size = 1000
        self._ports = {"hub": port, "files": 0}
        self._listeners: list[_Listener] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['hub']}"

    @property
    def files_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['files']}"

    def start(self) -> None:
        """Listen, on the ports used before if there were any."""
        self.faults.released.clear()
        for host, port in self._ports.items():
            listener = _listen(self, host, port)
            self._ports[host] = listener.server_address[1]
            self._listeners.append(listener)

    def stop(self) -> None:
        """Close every connection; from then on connections are refused."""
        self.faults.release()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Refuse connections for a while, then serve on the same ports again."""
        self.stop()
        yield
        self.start()

    def token(self, user: str, role: str = "write") -> str:
        return self.store.token(user, role)

    def repo(self, repo_id: str, kind: str = "model") -> Repo:
        """The repository itself, for a test to look at or to change behind the client's back."""
        repo = self.store.get(kind, repo_id)
        if repo is None:
            raise KeyError(f"there is no {kind} {repo_id}")
        return repo

    def create(
        self,
        repo_id: str,
        contents: Mapping[str, bytes | None] | None = None,
        *,
        kind: str = "model",
        private: bool = False,
        gated: str | bool = False,
    ) -> Repo:
        """A repository with these files, made without the client."""
        repo = self.store.create(repo_id, kind, private)
        repo.gated = gated
        if contents:
            repo.write(contents, "Upload", author=repo.namespace)
        return repo

    def calls(self, method: str = "*", path: str = "*") -> list[Seen]:
        """The requests seen so far whose method and path match these globs."""
        match = fnmatch.fnmatchcase
        return [seen for seen in self.requests if match(seen.method, method) and match(seen.path, path)]

    def check(self) -> None:
        """Fail if the client asked for something unknown, the server broke, or a fault never struck."""
        hint = " (is HF_HUB_DISABLE_XET=1 set before the client is imported?)" if "xet-" in str(self.unknown) else ""
        assert not self.unknown, f"the client used endpoints this server does not have: {self.unknown}{hint}"
        assert not self.errors, "the server itself failed:\n" + "\n".join(self.errors)
        assert not self.faults.never_fired(), f"faults that never struck: {self.faults.never_fired()}"

    def answer(self, host: str, request: Request) -> tuple[Reply, Caller]:
        caller = Caller()
        try:
            if host == "hub":
                caller = identify(self.store, request)
            call = Call(request, self.store, caller, self.endpoint, self.files_url, self.page_size, self.tree_page_size)
            for router in HUB_ROUTERS if host == "hub" else (files.host,):
                if route := router.find(request.method, request.raw_path):
                    handler, arguments = route
                    with self.store.lock:
                        return handler(call, **arguments), caller
            self.unknown.append(f"{request.method} {request.path}")
            return Refusal(404, "Sorry, we can't find the page you are looking for.").reply, caller
        except Refusal as refusal:
            return refusal.reply, caller
        except Exception:
            self.errors.append(f"{request.method} {request.path}\n{traceback.format_exc()}")
            return Refusal(500, "The test server failed: see its errors").reply, caller


def _listen(hub: HubServer, host: str, port: int) -> "_Listener":
    """Bind, waiting a little if the port is not free again yet."""
    for _ in range(100):
        try:
            return _Listener(hub, host, port)
        except OSError:
            time.sleep(0.05)
    return _Listener(hub, host, port)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: HubServer, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.hub, self.host = hub, host
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        self.hub.errors.append(traceback.format_exc())

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Dropped(Exception):
    """The connection is gone, because a fault wanted it so or the client left in the middle of its request."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(OSError, _Dropped):
            super().handle()

    def _serve(self) -> None:
        raw_path, _, query = self.path.partition("?")
        hub, fault = self.server.hub, self.server.hub.faults.take(self.command, unquote(raw_path))
        request = Request(self.command, raw_path, parse_qs(query, keep_blank_values=True), self.headers, b"")
        reply, caller = Reply(0), Caller()
        try:
            request.body = self._body(fault)
            if fault and fault.kind == "hang":
                hub.faults.released.wait()
                self._drop(fault)
            if fault and fault.reply:
                reply = fault.reply
            else:
                reply, caller = hub.answer(self.server.host, request)
            if fault and fault.kind == "lose answer":
                reply = Reply(0)
                self._drop(fault)
            reply = fault.change(reply) if fault else reply
        finally:
            given, sent = self.headers.get("Range"), len(request.body)
            seen = Seen(
                self.command, request.path, request.query, self.server.host, caller.name, reply.status, given, sent
            )
            hub.requests.append(seen)
        self._send(reply, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self, fault: Fault | None) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        if fault and fault.kind == "cut upload":
            self.rfile.read(min(fault.after, length))
            self._drop(fault)
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            body = self.rfile.read(length)
            if len(body) < length:
                raise _Dropped
            return body
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, reply: Reply, fault: Fault | None) -> None:
        headers = {"Content-Length": str(len(reply.body)), "X-Request-Id": uuid.uuid4().hex, **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, '')}"]
        lines += [f"{name}: {' '.join(value.split())}" for name, value in headers.items()]
        if fault and fault.kind == "endless":
            lines = [line for line in lines if not line.startswith("Content-Length")]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        body = b"" if self.command == "HEAD" else reply.body
        if fault and fault.kind == "cut":
            self.wfile.write(head + body[: fault.after])
            self._drop(fault)
        if fault and fault.kind == "endless":
            self.wfile.write(head)
            while not self.server.hub.faults.released.is_set():
                self.wfile.write(body)
            raise _Dropped
        if fault and fault.kind == "trickle":
            self.wfile.write((head + body)[: fault.after])
            for byte in (head + body)[fault.after :]:
                time.sleep(fault.seconds)
                self.wfile.write(bytes([byte]))
        elif fault and fault.kind == "slow":
            self.wfile.write(head)
            step = max(1, -(-len(body) // SLOW_PIECES))
            for start in range(0, len(body), step):
                time.sleep(fault.seconds / SLOW_PIECES)
                self.wfile.write(body[start : start + step])
        else:
            self.wfile.write(head + body)

    def _drop(self, fault: Fault) -> None:
        """End the connection: orderly, or with a reset (a socket closed without lingering sends one)."""
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()
        self.close_connection = True
        raise _Dropped
