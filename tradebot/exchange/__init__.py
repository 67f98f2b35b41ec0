"""What the ccxt venue and the ccxt feed share."""
