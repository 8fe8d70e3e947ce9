"""Real parts for tests: a Redis process, the BFF on a socket, a browser's manners, raw bytes."""
