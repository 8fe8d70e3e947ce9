"""What we ask of the authorization server, and how we read its answers."""
