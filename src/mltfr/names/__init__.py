"""Names of items: read, split into the tokens of each table, and made into vectors that items begin with."""
