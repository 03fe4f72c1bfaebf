"""Everything that touches the outside: sources, formats, the result store."""
