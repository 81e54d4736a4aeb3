"""Request and reply bodies: unknown fields are refused, nothing is coerced.

- `body`  what they have in common
- `writing`, `sampling`, `picture`  what those of tasks have in common that write text, that draw, that look at pictures
- `translate`, `caption`, `generate`, `paint`, `classify`, `tag`, `recommend`, `answer`  those of each task
"""
