"""Request and reply bodies: unknown fields are refused, nothing is coerced.

- `body`  what they have in common
- `writing`, `picture`  what those of tasks have in common that write text, that look at pictures
- `translate`, `caption`, `classify`, `tag`, `recommend`  those of each task
"""
