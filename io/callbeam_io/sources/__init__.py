"""Where records come from: files, and live feeds."""
