"""What must arrive outside: rows that are delivered through channels, tried again, and given up where everybody can see it."""
