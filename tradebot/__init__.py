"""tradebot: a crypto spot trading engine. `tradebot --profile prod.toml` runs it."""

__version__ = "0.1.0"
