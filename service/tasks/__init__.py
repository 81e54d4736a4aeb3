"""What a task does before and after the model; no HTTP here.

- `work`       what every task has in common: an item, the work that it is, its result
- `errors`, `limits`  what a task refuses
- `writing`    what tasks have in common whose model writes text
- `translate`  text → sentences → ids → the engine's requests → translations
- `sampling`   what tasks have in common whose model draws what it writes
- `generate`   a prompt → ids → the engine's request → the text that goes on from it
- `paint`      a picture → the engine's request → a picture, completed or drawn anew
- `seeing`     what tasks have in common that look at pictures
- `growing`    text that grows token by token and is never taken back
- `attention`  attention maps of translations
- `caption`    picture → pixels → the engine's request → captions
- `regions`, `overlay`  attention maps of captions, and pictures of them
- `classify`   text → labels and their probabilities
- `ranking`    what tasks have in common whose model scores a list of choices
- `answer`     a story and a question → answers and their probabilities
- `maps`       attention maps of a text that was read
- `tag`        text → sentences → words → entities, placed in the text
- `recommend`  a session of items → items that may come next
"""
