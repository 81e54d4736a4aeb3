"""What a task does before and after the model; no HTTP here.

- `errors`     what a task refuses
- `growing`    text that grows token by token and is never taken back
- `translate`  text → sentences → ids → the engine's requests → translations
- `attention`  attention maps of translations
"""
