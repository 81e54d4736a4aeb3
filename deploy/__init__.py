"""How the service is shipped: the container, and what runs and watches it."""
