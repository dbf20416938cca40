"""Contract suites: a backbone, fusion, loss or token source proves itself by inheriting one."""
