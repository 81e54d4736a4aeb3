"""Questions to a service, and what is wrong with its replies: nothing here sends anything.

- `material`  texts, sessions, stories and pictures: one's own, or the samples
- `question`  a request, and how its reply is judged
- `memory`    what was answered before
- `texts`, `sessions`, `photographs`, `tunes`, `stories`  who asks for what
- `mix`       all of them, in the shares in which they come
"""
