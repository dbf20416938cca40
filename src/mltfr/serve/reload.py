"""Reload: a new run is loaded beside the old one, tried, and takes over only if it gives its own saved answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from os.path import realpath
from pathlib import Path
from threading import Event, Lock, Thread

from mltfr.batch.users import run_fingerprint
from mltfr.errors import MltfrError
from mltfr.pipeline.artifact import FILES
from mltfr.pipeline.new_items import FILE as NEW_ITEMS
from mltfr.pipeline.new_items import WORDS
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
                if self._is_served():
                    outcome = "unchanged"
                else:
                    run = LoadedRun.load(self.folder, self.names, self.onnx)
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
        """Reload whenever the run's files are others, which are looked at every so often; until `stop`.

        They are read when two looks find the same. A copy that pauses for longer is refused as damaged or unfinished,
        and tried again when its files have changed and rest.
        """
        Thread(target=self._watch, args=(seconds,), name="watch", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _watch(self, seconds: float) -> None:
        before = self._seen()
        tried = before if self._is_served() else ()  # another run may have come while this one was made ready
        while not self._stop.wait(seconds):
            now = self._seen()
            if now and now == before and now != tried:
                tried = now
                self.reload()
            before = now

    def _is_served(self) -> bool:
        """Return whether the folder holds the run that answers."""
        try:
            return run_fingerprint(self.folder).startswith(self.service.run.fingerprint)
        except OSError:
            return False

    def _seen(self) -> tuple[tuple[str, int, int, int], ...]:
        """Return which files of a run there are; none without a manifest, while the run is being replaced."""
        folder = Path(realpath(self.folder))  # of a link that leads to itself too
        found = []
        for name in (MANIFEST, *FILES, NEW_ITEMS, WORDS):
            with suppress(OSError):
                file = (folder / name).stat()
                found.append((name, file.st_ino, file.st_mtime_ns, file.st_size))
        return tuple(found) if found and found[0][0] == MANIFEST else ()
