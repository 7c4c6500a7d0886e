"""How files are written whole, named, and read within limits, whoever made them."""
