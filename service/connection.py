"""Connections that do not wait for ever, nor hold what has no end: uvicorn bounds idling between two requests alone."""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HELD = 1 << 16
"""Bytes of a head, or of what may follow a body in chunks, beyond the piece that it began in."""
_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """Hangs up on a client that sends nothing for as long as one may idle, or does not finish the head of a request.

    The parser keeps fields until they are whole, however long they are: who never ends them would fill the memory.
    """

    head_timeout = 10.0
    """Seconds from the first byte of a head to its last."""
    _in_head = False
    _moved = False
    """Whether the last piece began or ended something, or held some of a body."""
    _held = 0
    """Bytes that came since then."""
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._idle_from_now()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved = False
        super().data_received(data)
        # Most heads come whole: only another one costs a timer.
        if self._in_head and self._timer is None:
            self._timer = self.loop.call_later(self.head_timeout, self._hang_up)
        if self.timeout_keep_alive_task is None and self._is_idle():
            # The rest of a body whose request has its reply already: uvicorn takes it for the end of idling.
            self._idle_from_now()
        self._held = 0 if self._moved else self._held + len(data)
        if self._held > _MOST_HELD and not self.transport.is_closing():
            # Else it would be taken for a reply to the request before, or cut that in two.
            if self._in_head and not self._is_replying():
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = self._moved = True
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = True
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._in_head, self._moved = False, True
        self._stop_timer()
        super().on_headers_complete()

    def _hang_up(self) -> None:
        if self.transport.is_closing():
            return
        if self._is_replying():
            # The request before this one is being worked on, and has the connection.
            self._timer = self.loop.call_later(self.head_timeout, self._hang_up)
            return
        self.transport.write(_LATE)
        self.transport.close()

    def _idle_from_now(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _is_idle(self) -> bool:
        replied = self.cycle is not None and self.cycle.response_complete  # type: ignore[redundant-expr]
        return replied and not self._in_head and not self.transport.is_closing()

    def _is_replying(self) -> bool:
        # uvicorn declares a cycle before there is one.
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
