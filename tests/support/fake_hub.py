"""A hub on loopback: the part of the Hugging Face hub's protocol that sharing a run uses, in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "other", "gemma"}
Files = dict[str, bytes]


@dataclass
class Repository:
    """A repository: its commits, oldest first, and what its branches and tags name."""

    private: bool = False
    commits: dict[str, Files] = field(default_factory=lambda: {"0" * 40: {".gitattributes": b""}})
    refs: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})

    def at(self, revision: str) -> tuple[str, Files] | None:
        commit = self.refs.get(revision, revision)
        return (commit, self.commits[commit]) if commit in self.commits else None

    def commit(self, files: Files, branch: str = "main") -> str:
        """Write these files, and no others, to a branch; return the commit."""
        content = json.dumps([len(self.commits), sorted((name, _oid(data)) for name, data in files.items())])
        commit = hashlib.sha1(content.encode()).hexdigest()
        self.commits[commit], self.refs[branch] = dict(files), commit
        return commit


@dataclass
class FakeHub:
    """The hub, and what it has heard."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    refuse: str = ""
    refuse_card: str = ""

    def files(self, name: str, revision: str = "main") -> Files:
        found = self.repositories[name].at(revision)
        assert found is not None
        return found[1]


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def problems_of_card(content: str) -> list[str]:
    """Return what is wrong with a card's front matter, by the rules of the hub that concern it."""
    if not content.startswith("---\n"):
        return ["no front matter"]
    data = yaml.safe_load(content.split("---\n")[1])
    wrong = [] if data.get("license") in LICENCES else [f"license {data.get('license')!r}"]
    for key in ("tags", "metrics", "base_model"):
        value = data.get(key, [])
        wrong += [] if all(isinstance(one, str) for one in ([value] if isinstance(value, str) else value)) else [key]
    for model in data.get("model-index", []):
        wrong += [] if isinstance(model.get("name"), str) else ["model-index name"]
        for result in model["results"]:
            known = result["task"]["type"], result["dataset"]["type"], result["dataset"]["name"]
            wrong += [] if all(isinstance(one, str) and one for one in known) else ["model-index result"]
            for metric in result["metrics"]:
                wrong += [] if isinstance(metric["type"], str) and isinstance(metric["value"], float) else ["metric"]
    return wrong


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _send(self, status: int, document: Any = None, headers: dict[str, str] | None = None, raw: bytes = b"") -> None:
        body = raw or (json.dumps(document).encode() if document is not None else b"")
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self, kind: str) -> None:
        self._send(404, {"error": f"{kind} not found"}, {"X-Error-Code": kind})

    def _handle(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.paths.append(f"{self.command} {path}")
        hub.bodies.append(body)
        if hub.refuse:
            self._send(500, {"error": f"{hub.refuse} {self.headers.get('Authorization')}"})
        elif path == "/api/validate-yaml":
            wrong = problems_of_card(json.loads(body)["content"]) + [hub.refuse_card] * bool(hub.refuse_card)
            self._send(400 if wrong else 200, {"errors": [{"message": one} for one in wrong], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        else:
            match path.strip("/").split("/"):
                case ["api", "models", owner, name, *rest]:
                    self._model(f"{owner}/{name}", rest, body)
                case [owner, name, "resolve", revision, *file]:
                    self._file(f"{owner}/{name}", revision, "/".join(file))
                case _:
                    self._missing("Page")

    do_GET = do_POST = do_HEAD = _handle

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        status = 409 if name in self.hub.repositories else 200
        self.hub.repositories.setdefault(name, Repository(private))
        self._send(status, {"url": f"{self.hub.url}/{name}", "id": name, "name": name})

    def _model(self, name: str, rest: list[str], body: bytes) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._missing("RepoNotFound")
            return
        verb, revision = (rest[0], "/".join(rest[1:])) if rest else ("revision", "main")
        if verb == "branch":
            known = revision in repository.refs
            repository.refs.setdefault(revision, repository.refs["main"])
            self._send(409 if known else 200, {"error": "exists"})
            return
        found = repository.at(revision)
        if found is None:
            self._missing("RevisionNotFound")
            return
        commit, files = found
        if verb == "tree":
            entries = [{"type": "file", "path": n, "size": len(d), "oid": _oid(d)} for n, d in files.items()]
            self._send(200, entries)
        elif verb == "preupload":
            asked = [one["path"] for one in json.loads(body)["files"]]
            modes = [{"path": one, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for one in asked]
            self._send(200, {"files": modes})
        elif verb == "commit":
            new = dict(files)
            for line in body.decode().splitlines():
                given = json.loads(line)
                if given["key"] == "file":
                    assert given["value"]["encoding"] == "base64"
                    new[given["value"]["path"]] = base64.b64decode(given["value"]["content"])
                elif given["key"] == "deletedFile":
                    del new[given["value"]["path"]]
            commit = repository.commit(new, revision)
            url = f"{self.hub.url}/{name}/commit/{commit}"
            self._send(200, {"commitUrl": url, "commitOid": commit, "success": True})
        elif verb == "revision":
            siblings = [{"rfilename": n, "size": len(d), "blobId": _oid(d)} for n, d in files.items()]
            known = {"id": name, "sha": commit, "private": repository.private, "siblings": siblings}
            self._send(200, {**known, "tags": [], "downloads": 0, "likes": 0})
        else:
            self._missing("Page")

    def _file(self, name: str, revision: str, file: str) -> None:
        repository = self.hub.repositories.get(name)
        found = repository.at(revision) if repository is not None else None
        if found is None or file not in found[1]:
            self._missing("EntryNotFound")
            return
        data = found[1][file]
        self._send(200, raw=data, headers={"X-Repo-Commit": found[0], "ETag": f'"{_oid(data)}"'})


@contextmanager
def fake_hub(cache: Path) -> Iterator[FakeHub]:
    """Yield a hub that huggingface-hub talks to, with a cache of its own and no token."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="pip install 'mltfr[hub]' is missing")
    from huggingface_hub import file_download
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
        patch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        for holder in (constants, file_download):  # versions before 1.0 copy it where they are imported
            patch.setattr(holder, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
        patch.setattr(constants, "HF_STORED_TOKENS_PATH", str(cache / "tokens"), raising=False)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        try:
            yield hub
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
