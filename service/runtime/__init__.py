"""Bundles, sessions and batching: a plain library, usable and testable without a server.

- `bundle`    opens and checks a folder
- `session`   the only import of onnxruntime
- `requests`  what goes in and comes out
- `intake`    the bounded queue before an engine: groups take turns, the late and the cancelled leave
- `oneshot`   dynamic batching of predict graphs
- `cutting`   which of the waiting rows make a batch
- `search`    greedy and beam search as pure functions over candidates
- `draws`     sampling, by each request's own seed
- `slots`     the rows' state, where the steps read and write it
- `newcomers` encoding of those who join, at the `pace` that those who run can bear
- `decoding`  continuous batching of encode and step graphs
"""
