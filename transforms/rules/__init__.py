"""Rules that make promotions: the language, its texts and its JSON Schema. What they do: `transforms.columns.rules`.

language    what a rule is: frozen dataclasses, fields and operators
kinds       what values may stand in one, for the parser and the schema alike
parse       from JSON; write: back to JSON, and the JSON Schema
check       what a rule needs of the run that it is in
sentences   a rule in English
"""
