"""What is told: logs and metrics."""
