"""What every row of the benchmark shares: data, models, clocks, tables of results."""
