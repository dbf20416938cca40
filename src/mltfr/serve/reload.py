"""Reload: a new run is loaded beside the old one, tried, and takes over only if it gives its own saved answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Lock, Thread

from mltfr.batch.users import run_fingerprint
from mltfr.errors import MltfrError
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.log import log, log_fault
from mltfr.serve.service import Service
from mltfr.serve.trial import try_run
from mltfr.storage.folder import MANIFEST


class Reloader:
    """Loads the run folder again when it is told to, in a thread of its own; one at a time.

    Args:
        service: what answers.
        folder: the run folder, or a link to it.
        names: names of items, see `LoadedRun`.
        onnx: whether small requests are computed by onnxruntime.
        page: whether there is a page, whose search is prepared.
    """

    def __init__(
        self,
        service: Service,
        folder: Path,
        names: Mapping[str, str] | None = None,
        onnx: bool = False,
        page: bool = True,
    ) -> None:
        self.service, self.folder, self.names, self.onnx, self.page = service, folder, names, onnx, page
        self._lock = Lock()
        self._stop = Event()

    def request(self) -> None:
        """Reload, without waiting for it."""
        Thread(target=self.reload, name="reload", daemon=True).start()

    def reload(self) -> str:
        """Load the folder, and switch to the run in it if it is another one and passes its trial; return the outcome.

        The outcome is "switched", "unchanged", or "refused": then the run until now goes on.
        """
        with self._lock:
            outcome = "refused"
            try:
                folder = self.folder.resolve()  # a link may lead elsewhere while the files are read
                if run_fingerprint(folder).startswith(self.service.run.fingerprint):
                    outcome = "unchanged"
                else:
                    run = LoadedRun.load(folder, self.names, self.onnx)
                    run.warm_up(self.page)
                    passed = try_run(run)
                    self.service.switch(run)
                    outcome = "switched"
                    log(logging.INFO, "trial passed", examples=passed.examples)
                    run.log_notes()
            except (MltfrError, OSError) as error:
                log(logging.ERROR, "reload refused", reason=str(error))
            except Exception as error:
                log_fault("reload refused", error)
            self.service.metrics.reloads.labels(outcome).inc()
            log(logging.INFO, "reload", outcome=outcome, run=self.service.run.fingerprint)
            return outcome

    def watch(self, seconds: float = 2.0) -> None:
        """Reload whenever the folder's manifest is another one, which is looked at every so often; until `stop`."""
        Thread(target=self._watch, args=(seconds,), name="watch", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _watch(self, seconds: float) -> None:
        before = self._seen()
        while not self._stop.wait(seconds):
            now = self._seen()
            if now is not None and now != before:  # a manifest is written last: without one, the run is being replaced
                before = now
                self.reload()

    def _seen(self) -> tuple[int, int, int] | None:
        try:
            found = (self.folder / MANIFEST).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
