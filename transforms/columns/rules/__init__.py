"""What rules do, columnar and without Beam: who fires when, with which values, and what becomes of it."""
