"""Rules that make promotions: the language, its texts and its JSON Schema. What they do: `columns.rules`."""
