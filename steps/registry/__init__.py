"""The release: Hub layout, parity checks, model card, push to the Hub."""
