"""The endpoints under /bff: what a browser and its page ask of us directly."""
