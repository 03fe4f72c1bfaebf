"""What is done to records: pure columnar functions and the Beam transforms that wire them."""
