"""The HTTP face: one FastAPI app, strict about what it takes.

- `gate`       what every request passes first: identity, limits, deadline, counting, draining
- `callers`    who may ask; `rate` how often
- `context`    what is known about a request
- `life`       loading, ready, draining; `ready` tells the platform
- `errors`     problem documents (RFC 9457)
- `route`      from a body to a model, from a reply to JSON
- `schemas`    request and reply bodies
- `job`        from items to the engine's requests, from what became of them to results
- `threads`    for what would hold up the event loop; `budget` for what would fill the memory
- `forms`, `pictures`  bodies with pictures
- `waiting`    from the engine's thread to the event loop, with an eye on the client
- `events`, `streaming`  server-sent events, and a text that is sent as it grows
- `translate`, `caption`, `classify`, `tag`, `recommend`, `models`, `docs`   routes
- `app`        puts them together; `admin` listens on a port of its own
"""
