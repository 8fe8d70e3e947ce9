"""What is shipped beside the code: packages, container, manifests, unit, dashboard, alerts."""
