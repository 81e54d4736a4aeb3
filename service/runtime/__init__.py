"""Bundles, sessions and batching: a plain library, usable and testable without a server.

- `bundle`    opens and checks a folder
- `session`   the only import of onnxruntime
- `requests`  what goes in and comes out
- `search`    greedy, beam search and sampling as pure functions over candidates
- `slots`     the rows' state, where the steps read and write it
- `decoding`  continuous batching of encode and step graphs
"""
