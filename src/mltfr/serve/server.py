"""The server: sockets, signals, and how a service ends."""

from __future__ import annotations

import asyncio
import logging
import re
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import uvicorn
from prometheus_client import start_http_server
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mltfr.errors import ConfigError, OutputError, shown
from mltfr.serve.keys import Keys
from mltfr.serve.log import log, write_log
from mltfr.serve.service import Service

KEEP_ALIVE = 30
"""Seconds that a connection stays open between two requests."""


def check_address(host: str, keys: Keys, open_to_all: bool) -> None:
    """Refuse to let everybody in by mistake.

    Raises:
        ConfigError: others than this machine can reach the address, no key is set, and that was not asked for.
    """
    if is_loopback(host) or keys or open_to_all:
        return
    raise ConfigError(
        f"--host {host} lets others reach the service, and there is no API key. Set one (--api-key-file FILE, or the "
        "variable MLTFR_API_KEY), leave --host out, or say that none is needed: --no-key."
    )


USUAL_PORTS = {"http": ":80", "https": ":443"}
"""What browsers leave out of an origin."""


def check_origins(origins: Sequence[str]) -> None:
    """Refuse what no browser sends as an origin, which would let no page in.

    Raises:
        ConfigError: one has a path, capitals, a star, its scheme's usual port, or no scheme.
    """
    for origin in origins:
        if origin not in ("*", "null") and not _is_origin(origin):
            raise ConfigError(
                f"--cors {shown(origin)} is no origin. Expected one as browsers send it, in small letters, without a "
                "path, a slash behind it or the usual port, as in https://shop.example; or * for all pages."
            )


def _is_origin(text: str) -> bool:
    """Return whether a text is a scheme and a host as browsers write them: those of the web in small letters."""
    scheme, _, host = text.partition("://")
    as_written = scheme not in USUAL_PORTS or (host == host.lower() and not host.endswith(USUAL_PORTS[scheme]))
    return as_written and bool(re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@\s*,]+", text))


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that has an address, and does not listen yet: whoever comes early is refused, and not kept.

    Raises:
        OutputError: the address cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{host}, port {port}: cannot be had ({reason}). Give another --host or --port.") from error
    return listener


def listen_for_metrics(host: str, port: int, service: Service) -> None:
    """Offer the metrics of a service at a port of their own, in a thread.

    Raises:
        OutputError: the address cannot be had.
    """
    try:
        start_http_server(port, host, service.metrics.registry)
    except OSError as error:
        raise OutputError(f"{host}, port {port}: cannot be listened at. Give another --metrics-port.") from error


def address_of(listener: socket.socket) -> str:
    """Return the address of a socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: ASGIApp,
    service: Service,
    listener: socket.socket,
    reload: Callable[[], None] | None = None,
    root_path: str = "",
    forwarded_allow_ips: str = "127.0.0.1",
) -> None:
    """Answer requests until SIGTERM or Ctrl-C, and then until those that were accepted are answered.

    A first signal lets `/health/ready` say 503 while requests are still taken, for `drain` seconds; then no connection
    is accepted any more. A second one skips that time.

    Args:
        app: what answers.
        service: its service, which is started and stopped here.
        listener: a socket with an address.
        reload: what SIGHUP calls.
        root_path: the path under which a proxy offers the service.
        forwarded_allow_ips: proxies whose word on the client's address is taken.

    Raises:
        OutputError: the inference thread ended by itself.
    """
    _open_files()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        root_path=root_path,
        forwarded_allow_ips=forwarded_allow_ips,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(service.options.grace),
        http=_impatient(service.options.idle_timeout),
    )
    service.start()
    with closing(listener):
        _Server(config, service, reload).run(sockets=[listener])
    dead = not service.alive
    service.stop()
    log(logging.INFO, "stopped")
    if dead:
        raise OutputError("The inference thread has ended; the log says why. Start the service again.")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service, reload: Callable[[], None] | None) -> None:
        super().__init__(config)
        self.service, self.reload = service, reload

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals while requests are answered."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain, signal.Signals(number).name)
        if self.reload is not None:
            loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        run = self.service.run
        for listener in sockets or ():
            log(logging.INFO, "listening", url=address_of(listener), run=run.fingerprint, title=run.fitted.config.title)

    async def on_tick(self, counter: int) -> bool:
        """Write the log, and return whether to end: as asked, or because nothing would be answered any more."""
        write_log()
        return await super().on_tick(counter) or not self.service.alive

    def _drain(self, name: str) -> None:
        log(logging.INFO, "draining", signal=name, again=self.service.draining)
        if self.service.draining:
            self.force_exit = self.should_exit  # the third one does not wait for answers
            self.should_exit = True
            return
        self.service.draining = True
        asyncio.get_running_loop().call_later(self.service.options.drain, self._exit)

    def _exit(self) -> None:
        self.should_exit = True


def _impatient(seconds: float) -> Any:
    """Return uvicorn's HTTP protocol, which also closes connections that do not send a whole header in time."""

    class Impatient(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._first = self.loop.call_later(seconds, self._close)

        def connection_lost(self, error: Exception | None) -> None:
            self._first.cancel()
            super().connection_lost(error)

        def _close(self) -> None:
            if self.cycle is None:  # no header has come
                self.transport.close()

    return Impatient


def _open_files() -> None:
    """Let the process have as many connections as the system allows it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
