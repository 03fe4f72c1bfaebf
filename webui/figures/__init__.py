"""Charts as plain Plotly figures: dicts of ``data`` and ``layout``, made and tested without a browser.

Every figure comes with its ``title``, which says what it shows in words, and with ``rev``: as long as that
stays the same, the browser draws nothing anew.
"""
