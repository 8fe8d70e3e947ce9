"""The admin page: what the supervisor knows, and who is signed in; behind its own credential."""
