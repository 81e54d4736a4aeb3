"""The HTTP face: one FastAPI app, strict about what it takes.

- `gate`       what every request passes first: identity, limits, deadline, counting, draining
- `life`       loading, ready, draining
- `errors`     problem documents (RFC 9457)
- `route`      from a body to a model, from a reply to JSON
- `schemas`    request and reply bodies
- `waiting`    from the engine's thread to the event loop, with an eye on the client
- `events`     server-sent events
- `translate`, `models`, `docs`   routes
- `app`        puts them together
"""
