"""/api: which route, what may pass, and the way there and back."""
