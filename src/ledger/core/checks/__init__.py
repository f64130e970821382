"""What one member's journal may not say: checks of its entries, each against those before it.

`core.verify` asks them all. They trust nothing that can be computed from the entries.
"""
