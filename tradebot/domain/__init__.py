"""The nouns: numbers, market, orders, events, commands, facts, ledger."""
