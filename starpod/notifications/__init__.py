"""What happened while nobody looked: kept for each person until they have seen it."""
