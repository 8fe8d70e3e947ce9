"""Real parts for the tests: a Redis process, the BFF on a socket, a browser's manners, raw bytes."""
