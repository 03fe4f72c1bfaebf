"""Pure functions over Arrow, Polars and NumPy. Nothing here knows Apache Beam."""
