"""Connections that do not wait for ever, nor hold what has no end: uvicorn bounds idling between two requests alone."""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LONGEST_HEAD = 1 << 16
"""Bytes of a head that did not come in one piece, from its second piece on."""
_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """Hangs up on a client that sends nothing for as long as one may idle, or does not finish the head of a request.

    The parser keeps a head until it is whole, however long it is, and so would who never ends one fill the memory.
    """

    head_timeout = 10.0
    """Seconds from the first byte of a head to its last."""
    _in_head = False
    _head_size: int | None = None
    """None in the piece that it began in."""
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
        if not self._in_head:
            return
        self._head_size = 0 if self._head_size is None else self._head_size + len(data)
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_timeout, self._hang_up)
        if self._head_size > _LONGEST_HEAD and not self.transport.is_closing():
            # The reply to a request before this one would be cut in two.
            if not self._is_replying():
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head, self._head_size = True, None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
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

    def _is_replying(self) -> bool:
        # uvicorn declares a cycle before there is one.
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
