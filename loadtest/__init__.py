"""Load and peer benchmarks: traffic against a running service over HTTP, and the runtime against other engines."""
