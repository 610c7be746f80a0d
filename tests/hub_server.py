"""A Hugging Face Hub on 127.0.0.1 that fails when told to.

It speaks the protocol as huggingface_hub 2.4.0 does: downloads (resolve, tree, info), uploads
(preupload, LFS batch, PUT, verify, NDJSON commit), tags, tokens. Any other path can hold a plain
file, as the pages of original checkpoints do.

Xet: for downloads the library takes hf_xet only where the server offers `X-Xet-Hash`, and this
server never does. For uploads it takes hf_xet wherever that can be imported, whatever the server
offers. So while a server runs, `constants.HF_HUB_DISABLE_XET` is set (the library looks at each
call), and so is `HF_HUB_DISABLE_TELEMETRY`: without it the first call that builds headers asks
`ENDPOINT/api/agent-harnesses`. Other processes need `HubServer.environment`. The plain way of
uploading large files makes httpx2 warn of deprecation; a test that does it under `-W error` needs
`@pytest.mark.filterwarnings(UPLOAD_WARNING)`.

Simplified: models only, an id is always "owner/name", listings have one page and no folders,
large files come from the same address (the real Hub redirects to other hosts), and a new
repository has no `.gitattributes`. A commit's hash depends on nothing but its files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants

USER = "tester"
UPLOAD_WARNING = "ignore:Use 'content=:DeprecationWarning"
_LARGE = {".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".onnx", ".npz", ".npy"}


@dataclass(frozen=True)
class Status:
    """Answer with this status, and do nothing else."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """Announce the whole length, close the connection after some bytes of the body."""

    after_bytes: int


@dataclass(frozen=True)
class Wrong:
    """Keep all headers, but fill the body with these bytes, repeated as needed."""

    content: bytes


@dataclass(frozen=True)
class Stall:
    """Stop before the answer, or after some bytes of its body, and go on after a while."""

    seconds: float
    after_bytes: int = 0


Fault = Status | Cut | Wrong | Stall


@dataclass(frozen=True)
class Request:
    """What a client asked.

    Attributes:
        method: GET, HEAD, POST or PUT.
        target: Path and query as they were sent.
        headers: Names in any case: `headers["range"]`.
        body: Empty but for POST and PUT.
    """

    method: str
    target: str
    headers: Message = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        """The path alone, unquoted."""
        return unquote(urlsplit(self.target).path)


@dataclass(frozen=True)
class _Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    ranges: bool = False


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.reply = _json({"error": message}, status, named)


@dataclass
class _Scripted:
    pattern: str
    fault: Fault
    method: str | None
    left: int | None

    def fits(self, request: Request) -> bool:
        in_body = isinstance(self.fault, Cut | Wrong) or getattr(self.fault, "after_bytes", 0) > 0
        return (
            self.left != 0
            and self.method in (None, request.method)
            and not (in_body and request.method == "HEAD")
            and fnmatchcase(request.path, self.pattern)
        )


@dataclass
class _Repo:
    token: str | None
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    promised: set[str] = field(default_factory=set)

    def commit(self, branch: str, files: Mapping[str, bytes]) -> str:
        tree = {path: hashlib.sha1(files[path]).hexdigest() for path in sorted(files)}
        commit = hashlib.sha1(json.dumps(tree).encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        self.objects |= {
            hashlib.sha256(content).hexdigest(): content
            for path, content in files.items()
            if _is_large(path, len(content), content)
        }
        return commit

    def resolve(self, revision: str) -> str:
        known = self.branches | self.tags | {commit: commit for commit in self.commits}
        if revision not in known:
            raise _RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return known[revision]


class HubServer:
    """The server; use it in a `with` statement.

    Attributes:
        url: Where it listens, without a slash at the end: huggingface_hub's `endpoint`.
        token: The token of the user "tester", who may read and write everything.
        requests: All requests so far, oldest first. Clear it at will.
    """

    def __init__(self, *, token: str = "hf_tester") -> None:
        self.token = token
        self.requests: list[Request] = []
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._repos: dict[str, _Repo] = {}
        self._plain: dict[str, _Reply] = {}
        self._faults: list[_Scripted] = []
        self._before = (False, False)

    def __enter__(self) -> Self:
        self._before = (constants.HF_HUB_DISABLE_XET, constants.HF_HUB_DISABLE_TELEMETRY)
        constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_TELEMETRY = True
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        constants.HF_HUB_DISABLE_XET, constants.HF_HUB_DISABLE_TELEMETRY = self._before
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        if self._server.errors and error is None:
            raise self._server.errors[0]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead another process's huggingface_hub here."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def put(
        self,
        repo_id: str,
        files: Mapping[str, bytes],
        revision: str = "main",
        tag: str | None = None,
        token: str | None = None,
    ) -> str:
        """Make a commit that has these files and no others.

        Args:
            repo_id: "owner/name"; made where there is none.
            files: Content by path.
            revision: The branch; made where there is none.
            tag: A tag for this commit, moved if it exists.
            token: Makes the repository private: only this token and the server's open it.

        Returns:
            The commit's hash.
        """
        with self._lock:
            repo = self._repos.setdefault(repo_id, _Repo(None))
            repo.token = token or repo.token
            commit = repo.commit(revision, files)
            if tag is not None:
                repo.tags[tag] = commit
            return commit

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Return the content of a repository by path; `revision` is a branch, tag or commit."""
        with self._lock:
            repo = self._repos[repo_id]
            return dict(repo.commits[repo.resolve(revision)])

    def serve(
        self, path: str, content: bytes, *, etag: str | None = None, ranges: bool = True
    ) -> str:
        """Put a plain file at a path.

        Args:
            path: Begins with a slash; goes before anything of the Hub.
            content: The bytes.
            etag: The ETag without its quotes; None sends none.
            ranges: Whether to honour Range; else the whole file is sent with status 200.

        Returns:
            The file's URL.
        """
        headers = {"ETag": f'"{etag}"'} if etag is not None else {}
        with self._lock:
            self._plain[path] = _Reply(200, content, headers, ranges)
        return self.url + path

    def fail(
        self, pattern: str, fault: Fault, times: int | None = 1, *, method: str | None = None
    ) -> None:
        """Script a fault; of those that fit, the one scripted first that is not used up counts.

        Args:
            pattern: fnmatch pattern of unquoted paths without query, such as "*/resolve/*.pth".
            fault: What to do. Those that show in a body alone leave HEAD requests alone.
            times: For how many requests; None is for ever.
            method: Only for requests of this method.
        """
        with self._lock:
            self._faults.append(_Scripted(pattern, fault, method, times))

    def answer(self, request: Request) -> tuple[_Reply, Fault | None]:
        """Decide what to send; the handler's side of the server."""
        with self._lock:
            self.requests.append(request)
            scripted = next((one for one in self._faults if one.fits(request)), None)
            if scripted is None:
                fault = None
            else:
                fault = scripted.fault
                scripted.left = None if scripted.left is None else scripted.left - 1
            if isinstance(fault, Status):
                return _json({"error": "a scripted fault"}, fault.code, fault.headers), None
            try:
                return self._route(request), fault
            except _RefusedError as refused:
                return refused.reply, fault

    def pause(self, seconds: float) -> bool:
        """Wait; True if the server closes meanwhile."""
        return self._closing.wait(seconds)

    def _route(self, request: Request) -> _Reply:
        if request.path in self._plain and request.method in ("GET", "HEAD"):
            return self._plain[request.path]
        token = self._token(request)
        parts = [unquote(part) for part in urlsplit(request.target).path[1:].split("/")]
        match request.method, parts:
            case "GET", ["api", "whoami-v2"]:
                if token is None:
                    raise _RefusedError(401, "Invalid username or password.")
                return _json({"type": "user", "name": USER, "fullname": USER, "orgs": []})
            case "POST", ["api", "validate-yaml"]:
                card = json.loads(request.body)["content"]
                missing = {"message": "empty or missing yaml metadata in repo card"}
                warnings = [] if card.startswith("---\n") else [missing]
                return _json({"errors": [], "warnings": warnings})
            case "POST", ["api", "repos", "create"]:
                return self._create(token, json.loads(request.body))
            case "GET", ["api", "models", owner, name]:
                return self._info(f"{owner}/{name}", token, "main")
            case "GET", ["api", "models", owner, name, "revision", revision]:
                return self._info(f"{owner}/{name}", token, revision)
            case "GET", ["api", "models", owner, name, "tree", revision]:
                repo = self._readable(f"{owner}/{name}", token)
                files = repo.commits[repo.resolve(revision)]
                return _json([_entry(path, content) for path, content in sorted(files.items())])
            case "GET", ["api", "models", owner, name, "refs"]:
                repo = self._readable(f"{owner}/{name}", token)
                branches, tags = _refs("heads", repo.branches), _refs("tags", repo.tags)
                return _json({"branches": branches, "tags": tags, "converts": []})
            case "POST", ["api", "models", owner, name, "preupload", revision]:
                repo = self._writable(f"{owner}/{name}", token)
                return _preupload(repo.commits[repo.resolve(revision)], request)
            case "POST", ["api", "models", owner, name, "commit", branch]:
                repo = self._writable(f"{owner}/{name}", token)
                commit = _apply(repo, branch, request)
                url = f"{self.url}/{owner}/{name}/commit/{commit}"
                return _json({"success": True, "commitOid": commit, "commitUrl": url})
            case "POST", ["api", "models", owner, name, "tag", revision]:
                repo = self._writable(f"{owner}/{name}", token)
                tag = json.loads(request.body)["tag"]
                if tag in repo.tags:
                    raise _RefusedError(409, "Tag reference exists already")
                repo.tags[tag] = repo.resolve(revision)
                return _json({})
            case "POST", [owner, name, "info", "lfs", "objects", "batch"]:
                repo_id = f"{owner}/{name.removesuffix('.git')}"
                return self._batch(repo_id, self._writable(repo_id, token), request)
            case "PUT", ["lfs", owner, name, oid]:  # without a token, as to a signed address
                repo = self._repos[f"{owner}/{name}"]
                if oid not in repo.promised or hashlib.sha256(request.body).hexdigest() != oid:
                    raise _RefusedError(403, "not what was agreed in the batch")
                repo.objects[oid] = request.body
                return _Reply(headers={"ETag": f'"{oid}"'})
            case "POST", ["lfs", owner, name, "verify"]:
                asked = json.loads(request.body)
                content = self._writable(f"{owner}/{name}", token).objects.get(asked["oid"])
                if content is None or len(content) != asked["size"]:
                    raise _RefusedError(404, "the object was not uploaded")
                return _json({})
            case (("GET" | "HEAD"), [owner, name, "resolve", revision, *path]) if path:
                repo = self._readable(f"{owner}/{name}", token)
                return _resolved(repo, repo.resolve(revision), "/".join(path))
            case _:
                raise _RefusedError(404, f"no such page: {request.method} {request.path}")

    def _token(self, request: Request) -> str | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        token = str(header).removeprefix("Bearer ")
        if token not in {self.token, *(repo.token for repo in self._repos.values())}:
            raise _RefusedError(401, "Invalid credentials in Authorization header")
        return token

    def _readable(self, repo_id: str, token: str | None) -> _Repo:
        repo = self._repos.get(repo_id)
        if repo is None or (repo.token is not None and token not in (repo.token, self.token)):
            raise _RefusedError(
                401 if token is None else 404, "Repository not found", "RepoNotFound"
            )
        return repo

    def _writable(self, repo_id: str, token: str | None) -> _Repo:
        repo = self._readable(repo_id, token)
        if token is None:
            raise _RefusedError(401, "Invalid username or password.", "RepoNotFound")
        if token not in (self.token, repo.token):
            raise _RefusedError(403, "this token may not write here")
        return repo

    def _create(self, token: str | None, asked: dict[str, Any]) -> _Reply:
        if token is None:
            raise _RefusedError(401, "Invalid username or password.")
        if token != self.token:
            raise _RefusedError(403, "this token may not create repositories")
        repo_id = f"{asked.get('organization') or USER}/{asked['name']}"
        reply = {"url": f"{self.url}/{repo_id}", "name": repo_id}
        if repo_id in self._repos:
            return _json(reply | {"error": "You already created this model repo"}, 409)
        private = asked.get("visibility") == "private" or asked.get("private")
        self._repos[repo_id] = _Repo(self.token if private else None)
        self._repos[repo_id].commit("main", {})
        return _json(reply)

    def _info(self, repo_id: str, token: str | None, revision: str) -> _Reply:
        repo = self._readable(repo_id, token)
        commit = repo.resolve(revision)
        siblings = [
            {
                "rfilename": entry["path"],
                "size": entry["size"],
                "blobId": entry["oid"],
                **({"lfs": entry["lfs"] | {"sha256": entry["lfs"]["oid"]}} if large else {}),
            }
            for entry in (_entry(*item) for item in sorted(repo.commits[commit].items()))
            for large in ["lfs" in entry]
        ]
        about = {"id": repo_id, "sha": commit, "private": repo.token is not None, "gated": False}
        return _json({**about, "tags": [], "siblings": siblings})

    def _batch(self, repo_id: str, repo: _Repo, request: Request) -> _Reply:
        objects = []
        for asked in json.loads(request.body)["objects"]:
            one: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in repo.objects:
                repo.promised.add(asked["oid"])
                base = f"{self.url}/lfs/{repo_id}"
                upload, verify = {"href": f"{base}/{asked['oid']}"}, {"href": f"{base}/verify"}
                one["actions"] = {"upload": upload, "verify": verify}
            objects.append(one)
        return _json({"transfer": "basic", "objects": objects})


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> _Reply:
    kind = {"Content-Type": "application/json"}
    return _Reply(status, json.dumps(value).encode(), kind | dict(headers or {}))


def _is_large(path: str, size: int, sample: bytes) -> bool:
    binary = PurePosixPath(path).suffix in _LARGE or b"\0" in sample[:512]
    return size > 0 and (binary or size > 10_000_000)


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(content), "oid": _git_hash(content)}
    if not _is_large(path, len(content), content):
        return entry
    oid = hashlib.sha256(content).hexdigest()
    return entry | {"lfs": {"oid": oid, "size": len(content), "pointerSize": 134}}


def _refs(kind: str, refs: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}
        for name, commit in refs.items()
    ]


def _resolved(repo: _Repo, commit: str, path: str) -> _Reply:
    content = repo.commits[commit].get(path)
    if content is None:
        raise _RefusedError(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit)
    headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_hash(content)}"'}
    if _is_large(path, len(content), content):
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers |= {"ETag": etag, "X-Linked-Etag": etag, "X-Linked-Size": str(len(content))}
    return _Reply(200, content, headers, ranges=True)


def _preupload(files: Mapping[str, bytes], request: Request) -> _Reply:
    answers = []
    for asked in json.loads(request.body)["files"]:
        path = asked["path"]
        large = _is_large(path, asked["size"], base64.b64decode(asked["sample"]))
        answer = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        if path in files:
            entry = _entry(path, files[path])
            answer["oid"] = entry.get("lfs", entry)["oid"]
        answers.append(answer)
    return _json({"files": answers})


def _apply(repo: _Repo, branch: str, request: Request) -> str:
    if branch not in repo.branches:
        raise _RefusedError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    files = dict(repo.commits[repo.branches[branch]])
    for line in request.body.splitlines():
        step = json.loads(line)
        value = step["value"]
        match step["key"]:
            case "header":
                if value.get("parentCommit") not in (None, repo.branches[branch]):
                    raise _RefusedError(412, "A commit has happened since. Please refresh.")
            case "file":
                files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                if value["oid"] not in repo.objects:
                    raise _RefusedError(400, f"no object {value['oid']} was uploaded")
                files[value["path"]] = repo.objects[value["oid"]]
            case "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise _RefusedError(404, "A file with this name doesn't exist", "EntryNotFound")
            case "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {path: files[path] for path in files if not path.startswith(folder)}
            case other:
                raise _RefusedError(400, f"unknown step {other}")
    return repo.commit(branch, files)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for every handler
    request_queue_size = 32

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        self.errors: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks the DNS for the machine's name
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        with self._guard:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave before they asked."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        server = cast(_Server, self.server)
        try:
            request = Request(self.command, self.path, self.headers, self._body())
            self._send(server.hub, request, *server.hub.answer(request))
        except OSError:
            self.close_connection = True
        except Exception as error:  # noqa: BLE001
            server.errors.append(error)
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, hub: HubServer, request: Request, reply: _Reply, fault: Fault | None) -> None:
        whole = reply.body
        if isinstance(fault, Wrong):
            whole = (fault.content * (len(whole) // len(fault.content) + 1))[: len(whole)]
        status, headers, body = _ranged(reply, request.headers, whole)
        if isinstance(fault, Stall) and not fault.after_bytes and hub.pause(fault.seconds):
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if request.method == "HEAD":
            return
        stop = fault.after_bytes if isinstance(fault, Cut | Stall) else len(body)
        self.wfile.write(body[:stop])
        if isinstance(fault, Cut) or (
            isinstance(fault, Stall) and fault.after_bytes and hub.pause(fault.seconds)
        ):
            return
        self.wfile.write(body[stop:])


def _ranged(reply: _Reply, asked: Message, body: bytes) -> tuple[int, dict[str, str], bytes]:
    headers = dict(reply.headers)
    if not reply.ranges:
        return reply.status, headers, body
    headers["Accept-Ranges"] = "bytes"
    found = re.fullmatch(r"bytes=(?=.*\d)(\d*)-(\d*)", asked.get("Range", ""))
    if found is None or asked.get("If-Range", headers.get("ETag")) != headers.get("ETag"):
        return reply.status, headers, body
    first, last = found.groups()
    start = int(first) if first else max(len(body) - int(last), 0)
    end = min(int(last) + 1, len(body)) if first and last else len(body)
    if start >= end:
        return 416, headers | {"Content-Range": f"bytes */{len(body)}"}, b""
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
    return 206, headers, body[start:end]
