"""The HTTP face: one FastAPI app, strict about what it takes.

- `gate`       what every request passes first: identity, limits, deadline, counting, draining
- `life`       loading, ready, draining
- `errors`     problem documents (RFC 9457)
- `route`      from a body to a model, from a reply to JSON
- `schemas`    request and reply bodies
- `job`        from items to the engine's requests, from what became of them to results
- `waiting`    from the engine's thread to the event loop, with an eye on the client
- `events`     server-sent events
- `translate`, `classify`, `tag`, `recommend`, `models`, `docs`   routes
- `app`        puts them together
"""
