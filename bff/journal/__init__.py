"""What is told to operators: the structured log and the metrics. No secret can be said here."""
