"""Connections that do not wait for ever: uvicorn sets a bound to idling between two requests, and to nothing before."""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """Hangs up on a client that sends nothing for as long as one may idle, or does not finish the head of a request."""

    head_timeout = 10.0
    """Seconds from the first byte of a head to its last."""
    _in_head = False
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Most heads come whole: only another one costs a timer.
        if self._in_head and self._timer is None:
            self._timer = self.loop.call_later(self.head_timeout, self._hang_up)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def _hang_up(self) -> None:
        if self.transport.is_closing():
            return
        # uvicorn declares a cycle before there is one.
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
            # The request before this one is being worked on, and has the connection.
            self._timer = self.loop.call_later(self.head_timeout, self._hang_up)
            return
        self.transport.write(_LATE)
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
