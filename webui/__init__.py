"""The result browser."""
