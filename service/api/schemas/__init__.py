"""Request and reply bodies: unknown fields are refused, nothing is coerced.

- `body`  what they have in common
- `translate`, `classify`, `tag`, `recommend`  those of each task
"""
