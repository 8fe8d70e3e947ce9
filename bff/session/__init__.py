"""What we remember of a browser, for how long, and how its tokens stay fresh."""
