"""charges: carries out charges, captures and voids that shops request."""
