"""What one types: a thin file a command group."""
